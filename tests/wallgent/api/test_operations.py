"""What one declaration of an operation gives: path, checks, documentation, keys, provider calls."""

import sys
import types

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.urls import include, path

from accounts.organizations.models import ApiKey
from accounts.wallets import services as wallets
from accounts.wallets.errors import WalletNotFound
from accounts.wallets.models import Wallet
from tests.endpoints import Endpoint
from tests.world import Client, actor_for, error_of, everything, in_parallel, make_key, make_wallet
from wallgent import clock, openapi
from wallgent.api import commands, idempotency, operations
from wallgent.api.models import IdempotencyRecord
from wallgent.api.operations import PUBLIC, Loader, ProviderCall, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.public import PublicView
from wallgent.api.schemas import Name, Schema
from wallgent.api.tasks import forget_idempotency_keys
from wallgent.api.views import ApiView, json_response
from wallgent.errors import Conflict, InvalidState, ServiceUnavailable, Unauthorized

WALLET = {"wallet": Loader("wallet_id", wallets.access, WalletNotFound)}


class RenameInput(Schema):
    name: Name


class RenameOutput(Schema):
    id: str
    name: str


@pytest.fixture
def serve(settings):
    """Serve views that exist during one test."""
    before = list(operations.views)
    openapi.document.cache_clear()

    def install():
        urls = types.ModuleType("made_up_urls")
        urls.urlpatterns = [
            path(f"{prefix}/", include(operations.urlpatterns(prefix)))
            for prefix in ("v1", "dialect")
        ]
        urls.handler404 = "wallgent.api.errors.not_found"
        sys.modules["made_up_urls"] = urls
        settings.ROOT_URLCONF = "made_up_urls"

    yield install
    operations.views[:] = before
    openapi.document.cache_clear()
    sys.modules.pop("made_up_urls", None)


def declare_rename():
    class RenameView(ApiView):
        path = "wallets/{wallet_id}/rename"
        loads = WALLET

        @operation(
            "wallets:write",
            body=RenameInput,
            answers=RenameOutput,
            errors=(InvalidState,),
            example={"name": "Travel"},
        )
        def post(self, request, wallet, data):
            """Rename a wallet."""
            return RenameOutput.of(wallets.update(wallet, actor=request.actor, name=data.name))

    return RenameView


class TestOneDeclaration:
    @pytest.fixture
    def url(self, serve, wallet):
        declare_rename()
        serve()
        return f"/v1/wallets/{wallet.id}/rename"

    def test_serves_the_path(self, url, api, wallet):
        response = api.post(url, {"name": "Travel"})

        assert response.status_code == 200
        assert response.json() == {"id": wallet.id, "name": "Travel"}
        assert api.get(f"/v1/wallets/{wallet.id}").json()["name"] == "Travel"

    def test_checks_key_permission_access_and_form(self, url, api, stranger, acme, live_api):
        reader = Client(make_key(acme, permissions=["wallets:read"]))
        scoped = Client(make_key(acme, wallet_scope=[make_wallet(acme).id]))
        body = {"name": "Travel"}
        before = everything()

        refusals = [
            error_of(client.post(url, sent))
            for client, sent in (
                (Client(), body),
                (reader, body),
                (api, {}),
                (stranger, body),
                (live_api, body),
                (scoped, body),
            )
        ]

        assert refusals == [
            *("UNAUTHORIZED", "PERMISSION_DENIED", "VALIDATION_ERROR", "WALLET_NOT_FOUND"),
            *("ENVIRONMENT_MISMATCH", "PERMISSION_DENIED"),
        ]
        assert api.get(url).headers["Allow"] == "POST"
        assert everything() == before

    def test_binds_an_idempotency_key(self, url, api):
        first = api.post(url, {"name": "Travel", "idempotencyKey": "k"})
        again = api.post(url, {"name": "Travel", "idempotencyKey": "k"})
        other = api.post(url, {"name": "Other", "idempotencyKey": "k"})

        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert error_of(other) == "IDEMPOTENCY_KEY_REUSE"

    def test_checks_permission_before_a_replay(self, url, api):
        api.post(url, {"name": "Travel", "idempotencyKey": "k"})
        ApiKey.objects.update(permissions=["wallets:read"])

        response = api.post(url, {"name": "Travel", "idempotencyKey": "k"})

        assert error_of(response) == "PERMISSION_DENIED"

    def test_is_documented_and_in_the_table_of_tests(self, url):
        described = openapi.document()["paths"]["/v1/wallets/{wallet_id}/rename"]["post"]
        table = [Endpoint.of(one) for one in operations.declared()]
        endpoint = next(one for one in table if one.path == "/v1/wallets/{wallet}/rename")

        assert described["operationId"] == "renameWallet"
        assert "wallets:write" in described["description"]
        assert set(described["responses"]) >= {"200", "400", "401", "403", "404", "409", "429"}
        assert (endpoint.subject, endpoint.missing) == ("wallet", "WALLET_NOT_FOUND")
        assert endpoint.body == {"name": "Travel"}

    def test_path_of_another_view_is_refused(self, url):
        declare_rename()

        with pytest.raises(ImproperlyConfigured, match="same path"):
            operations.urlpatterns("v1")

    def test_needs_a_permission_or_a_public_view(self, serve):
        for base, permission in ((ApiView, PUBLIC), (PublicView, "wallets:read")):
            with pytest.raises(ImproperlyConfigured, match="PublicView"):
                declare("odd", operation(permission, answers=RenameOutput)(read_name), base)

    def test_loads_only_what_is_named(self, serve):
        handler = operation("wallets:read", loads=WALLET, answers=RenameOutput)(read_name)

        with pytest.raises(ImproperlyConfigured, match="wallet_id"):
            declare("odd", handler)

    def test_inherited_methods_belong_to_each_view(self, serve):
        base = declare_rename()
        copy = type("CopyView", (base,), {"path": "wallets/{wallet_id}/copied"})

        paths = [view.operations["POST"].path for view in (base, copy)]

        assert paths == ["v1/wallets/{wallet_id}/rename", "v1/wallets/{wallet_id}/copied"]


def read_name(view, request):
    """Get a name."""


def declare(path: str, handler, base=ApiView) -> type:
    return type("MadeUpView", (base,), {"path": path, "get": handler})


class TestOtherDialect:
    """Another authentication, envelope and form of lists for the same services."""

    @pytest.fixture
    def get(self, serve, acme):
        class DialectView(ApiView):
            prefix = "dialect"

            def initial(self, request, **path):
                if request.headers.get("X-Token") != "secret":
                    raise Unauthorized()
                request.actor = actor_for(acme)

            def refuse(self, error):
                return json_response({"failure": error.code.lower()}, error.status)

            def page(self, queryset, query, output, *, by="pk"):
                return {"items": [output(row).to_json() for row in queryset]}

        class WalletsView(DialectView):
            path = "wallets"

            @operation("wallets:read", query=PageQuery, answers=Page[RenameOutput])
            def get(self, request, query):
                """List."""
                found = Wallet.objects.visible_to(request.actor).order_by("pk")
                return self.page(found, query, RenameOutput.of)

        serve()
        return lambda token: Client().request("GET", "/dialect/wallets", **{"X-Token": token})

    def test_is_used(self, get, wallet):
        names = [item["name"] for item in get("secret").json()["items"]]

        assert wallet.name in names

    def test_refuses_in_its_own_envelope(self, get):
        response = get("wrong")

        assert (response.status_code, response.json()) == (401, {"failure": "unauthorized"})

    def test_is_not_part_of_the_documented_api(self, get):
        assert not any("dialect" in path for path in openapi.document()["paths"])


class Provider:
    """A provider that answers each id once, and can be away."""

    def __init__(self):
        self.calls, self.answers = 0, {}
        self.is_away = self.answers_late = self.refuses = False

    def call(self, wallet: Wallet) -> str:
        assert not connection.in_atomic_block, "a provider is called outside of transactions"
        self.calls += 1
        if not self.is_away or self.answers_late:
            self.answers.setdefault(wallet.id, f"reference {len(self.answers) + 1}")
        if self.is_away:
            raise ServiceUnavailable()
        return "refused" if self.refuses else self.answers[wallet.id]


@pytest.fixture
def provider():
    return Provider()


@pytest.mark.django_db(transaction=True)
class TestProviderCall:
    """Reserve, call, record: a wallet is opened at a provider and named by its answer."""

    PATH = "/v1/opened-wallets"

    @pytest.fixture
    def open_wallet(self, serve, provider, api):
        def record(wallet, result, *, actor):
            if result == "refused":
                wallets.close(wallet, actor=actor)
                return Conflict("The provider refused the wallet.")
            return RenameOutput.of(wallets.update(wallet, actor=actor, name=result))

        class OpenedWalletsView(ApiView):
            path = "opened-wallets"

            @operation(
                "wallets:write",
                body=RenameInput,
                answers={201: RenameOutput},
                errors=(Conflict,),
                provider=ProviderCall(load=wallets.access, call=provider.call, record=record),
            )
            def post(self, request, data):
                """Open a wallet at a provider."""
                return wallets.create(actor=request.actor, name=data.name)

        serve()

        def send(key: str | None = "k", name: str = "Pending"):
            return api.post(self.PATH, {"name": name, "idempotencyKey": key})

        return send

    def test_answer_of_the_provider_is_recorded(self, open_wallet, acme):
        first, again = open_wallet(), open_wallet()

        assert (first.status_code, first.json()["name"]) == (201, "reference 1")
        assert again.content == first.content
        assert again.headers["Idempotent-Replayed"] == "true"
        assert Wallet.objects.filter(name="reference 1").count() == 1

    def test_works_without_a_key(self, open_wallet):
        assert [open_wallet(None).json()["name"] for _ in range(2)] == [
            "reference 1",
            "reference 2",
        ]

    @pytest.mark.parametrize("answers_late", [False, True])
    def test_repeat_asks_for_the_outcome_after_no_answer(self, open_wallet, provider, answers_late):
        provider.is_away, provider.answers_late = True, answers_late
        unanswered = open_wallet()
        provider.is_away = False
        again = open_wallet()

        assert (unanswered.status_code, error_of(unanswered)) == (503, "SERVICE_UNAVAILABLE")
        assert (again.status_code, again.json()["name"]) == (201, "reference 1")
        assert len(provider.answers) == 1
        assert Wallet.objects.filter(name="Pending").count() == 0

    def test_key_stays_bound_while_the_outcome_is_unknown(self, open_wallet, provider):
        provider.is_away = True
        open_wallet()

        assert error_of(open_wallet(name="Other")) == "IDEMPOTENCY_KEY_REUSE"
        assert Wallet.objects.filter(name="Pending").count() == 1
        assert IdempotencyRecord.objects.get().status is None

    def test_bug_after_the_call_keeps_the_key_bound(self, open_wallet, provider, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(wallets, "update", lambda *args, **options: 1 / 0)
            assert open_wallet().status_code == 500

        assert open_wallet().json()["name"] == "reference 1"
        assert (provider.calls, len(provider.answers)) == (2, 1)

    def test_refusal_that_is_recorded_is_replayed(self, open_wallet, provider):
        provider.refuses = True
        first, again = open_wallet(), open_wallet()

        assert (first.status_code, again.content) == (409, first.content)
        assert Wallet.objects.get(name="Pending").status == "CLOSED"

    def test_key_stays_bound_longer_than_answers_are_kept(self, open_wallet, provider):
        provider.is_away = provider.answers_late = True
        open_wallet()
        IdempotencyRecord.objects.update(created_at=clock.real_now() - 2 * idempotency.LIFETIME)
        forget_idempotency_keys()
        provider.is_away = False

        assert open_wallet().json()["name"] == "reference 1"
        assert len(provider.answers) == 1

    def test_refusal_while_another_request_has_reserved_is_not_stored(
        self, open_wallet, provider, monkeypatch
    ):
        provider.is_away = provider.answers_late = True
        refuse = commands._Execution._refuse

        def refuse_after_a_twin(execution, error):
            monkeypatch.undo()
            in_parallel(1, lambda number: open_wallet())  # claims the key that was released
            return refuse(execution, error)

        def create(**options):
            raise InvalidState("Refused.")

        monkeypatch.setattr(wallets, "create", create)
        monkeypatch.setattr(commands._Execution, "_refuse", refuse_after_a_twin)
        first = open_wallet()
        provider.is_away = False

        assert error_of(first) == "SERVICE_UNAVAILABLE"
        assert open_wallet().json()["name"] == "reference 1"

    def test_racing_repeats_reserve_and_record_once(self, open_wallet, provider):
        answers = in_parallel(4, lambda n: open_wallet())

        assert {answer.content for answer in answers} == {answers[0].content}
        assert len(provider.answers) == 1
        assert Wallet.objects.filter(name="reference 1").count() == 1
