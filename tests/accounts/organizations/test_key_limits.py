"""An API key never grants or gains more rights than it has, in any of its limits."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import transaction

from accounts.controls.services import approvals
from accounts.organizations import permissions
from accounts.organizations.errors import ApiKeyRevoked
from accounts.organizations.models import ApiKey
from accounts.organizations.services import api_keys, organizations
from accounts.wallets import services as wallets
from links.payment_links.services import settings
from tests import approving
from tests.accounts import rails
from tests.world import (
    Client,
    actor_for,
    balance_of,
    browser,
    error_of,
    events_of,
    everything,
    in_parallel,
    make_key,
    make_member,
    make_wallet,
)
from wallgent import clock, ids
from wallgent.actors import ActorType
from wallgent.api.schemas import timestamp_text
from wallgent.errors import PermissionDenied

PATH = "/v1/api-keys"
DIMENSIONS = ("permissions", "walletScope", "allowedIps", "expiresAt")
# The caller's own address, two adjacent networks that merge into one, and an IPv6 network.
NETWORKS = ["127.0.0.1/32", "203.0.113.0/25", "203.0.113.128/25", "2001:db8::/32"]
GRANTED = ["organizations:read", "organizations:write", "wallets:read"]


def in_days(days: int) -> str:
    return timestamp_text(clock.real_now() + timedelta(days=days))


class LimitedKey:
    """A key limited in one dimension, with values beyond and within its limit."""

    def __init__(self, acme, wallet, savings, dimension: str):
        soon = clock.real_now().replace(microsecond=0) + timedelta(days=10)
        limits = {
            "permissions": {"permissions": GRANTED},
            "walletScope": {"wallet_scope": [wallet.id]},
            "allowedIps": {"allowed_ips": NETWORKS},
            "expiresAt": {"expires_at": soon},
        }
        self.acme, self.dimension = acme, dimension
        secret = make_key(acme, name="Limited", **limits[dimension])
        self.key = ApiKey.objects.get(name="Limited")
        self.client = Client(secret)
        self.limit = self.client.get(self.path_of(self.key)).json()[dimension]
        self.beyond = {
            "permissions": [[*GRANTED, "payments:write"], list(permissions.ALL)],
            "walletScope": [[savings.id], [wallet.id, savings.id]],
            "allowedIps": [
                *(["0.0.0.0/0"], ["::/0"], ["203.0.112.0/23"], [*NETWORKS, "198.51.100.1"]),
                *(["2001:db8::/31"], ["::ffff:198.51.100.1"], ["203.0.114.0"]),
            ],
            "expiresAt": [in_days(11), "2099-01-01T00:00:00Z"],
        }[dimension]
        self.within = {
            "permissions": [GRANTED, ["wallets:read"], []],
            "walletScope": [[wallet.id]],
            "allowedIps": [NETWORKS, ["203.0.113.0/24"], ["2001:db8:1::/48"], ["203.0.113.7"]],
            "expiresAt": [in_days(9), timestamp_text(soon)],
        }[dimension]
        # Values that mean no limit.
        self.unlimited = {
            "permissions": [],
            "walletScope": [],
            "allowedIps": [None, []],
            "expiresAt": [None],
        }[dimension]

    @staticmethod
    def path_of(key) -> str:
        return f"{PATH}/{key.id}"

    def stronger(self) -> ApiKey:
        make_key(self.acme, name="Stronger")
        return ApiKey.objects.get(name="Stronger")


@pytest.fixture(params=DIMENSIONS)
def limited(request, acme, wallet, savings):
    return LimitedKey(acme, wallet, savings, request.param)


# The wallet scope of a key cannot be changed.
each_changeable = pytest.mark.parametrize(
    "limited", [name for name in DIMENSIONS if name != "walletScope"], indirect=True
)


def assert_refused(response, before) -> None:
    assert (response.status_code, error_of(response)) == (403, "PERMISSION_DENIED")
    assert everything() == before


def assert_denied(response, before) -> None:
    assert_refused(response, before)
    assert "Grant less, or use the dashboard" in response.json()["error"]["message"]


class TestCreate:
    def test_inherits_the_limit(self, limited):
        bodies = [{}, {limited.dimension: None}]
        if limited.dimension == "allowedIps":
            bodies.append({"allowedIps": []})

        for body in bodies:
            created = limited.client.post(PATH, body)
            assert created.status_code == 201
            assert created.json()[limited.dimension] == limited.limit
            child = Client(created.json()["secret"]).post(
                PATH, body
            )  # keys it creates inherit it, too
            assert child.json()[limited.dimension] == limited.limit

    def test_grants_nothing_beyond_the_limit(self, limited):
        before = everything()

        for value in limited.beyond:
            refused = limited.client.post(PATH, {limited.dimension: value})
            assert_denied(refused, before)
            assert refused.json()["error"]["details"], value

    def test_grants_values_within_the_limit(self, limited):
        for value in limited.within:
            created = limited.client.post(PATH, {limited.dimension: value})
            assert created.status_code == 201, value

    def test_key_without_limits_grants_anything(self, limited, api):
        for value in [*limited.beyond, *limited.within, *limited.unlimited]:
            assert api.post(PATH, {limited.dimension: value}).status_code == 201, value

    def test_production_key_passes_its_limits_on_to_sandbox_keys(self, acme):
        until = clock.real_now() + timedelta(days=1)
        limits = {"allowed_ips": ["127.0.0.1"], "expires_at": until}
        live = Client(make_key(acme, "PRODUCTION", **limits))

        created = live.post(PATH, {"environment": "SANDBOX"}).json()

        assert created["allowedIps"] == ["127.0.0.1/32"]
        assert created["expiresAt"] == timestamp_text(until)


class TestUpdate:
    @each_changeable
    def test_key_cannot_raise_its_own_limit(self, limited):
        before = everything()

        for value in [*limited.beyond, *limited.unlimited]:
            change = {limited.dimension: value, "name": "Free"}
            assert_denied(limited.client.patch(limited.path_of(limited.key), change), before)

    @each_changeable
    def test_key_may_tighten_its_own_limit(self, limited):
        if limited.dimension == "permissions":
            value = GRANTED[:2]
        else:
            value = {"allowedIps": NETWORKS[:2], "expiresAt": in_days(5)}[limited.dimension]

        changed = limited.client.patch(
            limited.path_of(limited.key), {limited.dimension: value, "name": "N"}
        )

        assert changed.status_code == 200
        assert changed.json()[limited.dimension] == value
        assert changed.json()["name"] == "N"

    @each_changeable
    def test_key_cannot_raise_the_limit_of_another(self, limited):
        child = f"{PATH}/{limited.client.post(PATH).json()['id']}"
        before = everything()

        for value in [*limited.beyond, *limited.unlimited]:
            assert_denied(limited.client.patch(child, {limited.dimension: value}), before)

    @pytest.mark.parametrize(
        "change",
        [
            {"name": "Mine"},
            {"permissions": []},
            {"permissions": GRANTED},
            {"allowedIps": ["127.0.0.1"]},
            {"expiresAt": "2099-01-01T00:00:00Z"},
        ],
        ids=str,
    )
    def test_key_with_more_rights_cannot_be_changed(self, limited, change):
        stronger = limited.stronger()
        before = everything()

        assert_refused(limited.client.patch(limited.path_of(stronger), change), before)

    def test_key_without_limits_changes_any_key(self, limited, api):
        for change in ({"name": "N"}, {"allowedIps": None}, {"expiresAt": None}):
            assert api.patch(limited.path_of(limited.key), change).status_code == 200

    def test_grant_is_checked_against_the_current_key(self, acme):
        """Its permissions grew after the caller read it, so raising its limit would grant those."""
        make_key(acme, name="Small", permissions=["wallets:read"], allowed_ips=["10.0.0.0/8"])
        small = ApiKey.objects.get(name="Small")
        ApiKey.objects.filter(pk=small.pk).update(permissions=list(permissions.ALL))
        clerk = actor_for(acme, permissions=frozenset(GRANTED))

        with pytest.raises(PermissionDenied), transaction.atomic():
            api_keys.update(small, actor=clerk, allowed_ips=None)


class TestRevoke:
    def test_key_with_more_rights_cannot_be_revoked(self, limited):
        stronger = limited.stronger()
        before = everything()

        assert_refused(limited.client.delete(limited.path_of(stronger)), before)

    def test_key_revokes_its_children_and_itself(self, limited):
        child = limited.client.post(PATH).json()["id"]

        assert limited.client.delete(f"{PATH}/{child}").status_code == 200
        assert limited.client.delete(limited.path_of(limited.key)).status_code == 200

    def test_users_revoke_any_key_by_their_role(self, limited, acme):
        admin = browser(make_member(acme, "ADMIN"))
        stronger = limited.stronger()

        for key in (limited.key, stronger):
            page = f"/{acme.id}/sandbox/api-keys/{key.id}/revoke"
            assert admin.post(page, {"submission": ids.new("sub")}).status_code == 303

        assert set(ApiKey.objects.filter(revoked_at=None)) == set()

    def test_support_revokes_any_key(self, limited):
        actor = organizations.system_actor(limited.acme)

        assert api_keys.revoke(limited.key, actor=actor).revoked_at


class TestRaces:
    """A key is revoked or limited after its request was let in, before it grants anything."""

    @pytest.fixture
    def late(self, acme):
        late = api_keys.authenticate(make_key(acme, name="Late"), ip="127.0.0.1")
        make_key(acme, name="Small", permissions=["wallets:read"])
        return late

    def refuses(self, error, work):
        before = everything()
        with pytest.raises(error), transaction.atomic():
            work()
        assert everything() == before

    def test_a_revoked_key_leaves_no_other_key_behind(self, acme, late):
        small = ApiKey.objects.get(name="Small")
        api_keys.revoke(ApiKey.objects.get(name="Late"), actor=actor_for(acme))

        self.refuses(ApiKeyRevoked, lambda: api_keys.create(actor=late))
        self.refuses(ApiKeyRevoked, lambda: api_keys.update(small, actor=late, permissions=GRANTED))

    def test_its_refusal_is_not_the_answer_of_other_keys(self, acme, api, monkeypatch):
        create, body = api_keys.create, {"idempotencyKey": "k"}

        def create_after_revocation(**given):
            monkeypatch.undo()
            api_keys.revoke(ApiKey.objects.get(name="Sender"), actor=actor_for(acme))
            return create(**given)

        sender = Client(make_key(acme, name="Sender"))
        monkeypatch.setattr(api_keys, "create", create_after_revocation)
        refused = sender.post(PATH, body)

        assert (refused.status_code, error_of(refused)) == (401, "API_KEY_REVOKED")
        assert api.post(PATH, body).status_code == 201

    def test_a_limited_key_passes_on_no_more_than_it_has_now(self, acme, late):
        own, small = ApiKey.objects.get(name="Late"), ApiKey.objects.get(name="Small")
        api_keys.update(own, actor=actor_for(acme), permissions=GRANTED)
        everything_it_had = list(permissions.ALL)

        for grant in (
            lambda: api_keys.create(actor=late, permissions=everything_it_had),
            lambda: api_keys.update(small, actor=late, permissions=everything_it_had),
            lambda: api_keys.update(own, actor=late, permissions=everything_it_had),
        ):
            self.refuses(PermissionDenied, grant)
        made, _ = api_keys.create(actor=late)
        assert sorted(made.permissions) == sorted(GRANTED)

    def test_a_removed_or_demoted_person_creates_none(self, acme):
        member = make_member(acme, "ADMIN").memberships.get()
        late = replace(actor_for(acme), type=ActorType.USER, id=member.user_id)
        member.role = "VIEWER"
        member.save()

        self.refuses(PermissionDenied, lambda: api_keys.create(actor=late, permissions=GRANTED))
        member.delete()
        self.refuses(PermissionDenied, lambda: api_keys.create(actor=late, permissions=[]))

    @pytest.mark.django_db(transaction=True)
    def test_a_revocation_waits_for_what_its_key_is_creating(self, acme, late):
        own = ApiKey.objects.get(name="Late")

        def race(number):
            if number:
                return api_keys.revoke(own, actor=actor_for(acme)) and ApiKey.objects.count()
            try:
                return api_keys.create(actor=late)
            except ApiKeyRevoked:
                return None

        made, seen = in_parallel(2, race)

        assert ApiKey.objects.count() == seen == (3 if made else 2)


class TestActor:
    def test_has_every_limit_of_its_key(self, acme, wallet):
        until = clock.real_now() + timedelta(days=1)
        limits = {"wallet_scope": [wallet.id], "allowed_ips": NETWORKS, "expires_at": until}
        secret = make_key(acme, permissions=GRANTED, **limits)

        actor = api_keys.authenticate(secret, ip="127.0.0.1")

        assert actor.type == ActorType.API_KEY
        assert actor.permissions == frozenset(GRANTED)
        assert actor.wallet_scope == frozenset([wallet.id])
        assert actor.allowed_ips == tuple(NETWORKS)
        assert actor.expires_at == until


class TestWalletScope:
    """A scoped key cannot change organization settings or undo actions of others."""

    @pytest.fixture
    def scoped(self, acme, wallet):
        return Client(make_key(acme, wallet_scope=[wallet.id]))

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("PATCH", "/v1/organizations/me", {"name": "Mine"}),
            ("PATCH", "/v1/organizations/me", {}),
            ("POST", "/v1/sandbox/clock/advance", {"days": 1}),
            ("POST", "/v1/wallets", {"name": "Mine"}),
            ("POST", "/v1/approvals/{approval}/approve", {}),
            ("POST", "/v1/approvals/{approval}/reject", {}),
            ("POST", "/v1/wallets/{wallet}/unfreeze", {}),
            ("POST", "/v1/sandbox/usdc-payments", {"address": "{address}", "amount": "5"}),
        ],
    )
    def test_scoped_key_is_denied(self, acme, api, scoped, wallet, shop, method, path, body):
        coins = make_wallet(acme, "Coins", currency="USDC")
        address = rails.expect(coins, "5").address
        approval = approving.ask(wallet, shop, "5")
        wallets.freeze(wallet, actor=actor_for(acme))
        body = {name: str(value).format(address=address) for name, value in body.items()}
        body = {name: int(value) if name == "days" else value for name, value in body.items()}
        before = everything()

        response = scoped.request(method, path.format(approval=approval.id, wallet=wallet.id), body)

        assert (response.status_code, error_of(response)) == (403, "PERMISSION_DENIED")
        assert "Use a key" in response.json()["error"]["message"]
        assert everything() == before

    @pytest.mark.parametrize(
        "change",
        [
            lambda acme, actor: organizations.update(acme, actor=actor, name="Mine"),
            lambda acme, actor: organizations.set_link_direction(
                acme, actor=actor, direction="SEND"
            ),
            lambda acme, actor: organizations.accept_pay_requests(
                acme, actor=actor, sandbox=False, production=True
            ),
            lambda acme, actor: organizations.advance_clock(acme, actor=actor, by=timedelta(1)),
            lambda acme, actor: settings.set_conversion(acme, actor=actor, allowed=True),
            lambda acme, actor: approvals.require_decider(actor),
        ],
        ids=["name", "direction", "pay requests", "clock", "conversion", "approvals"],
    )
    def test_services_let_no_scoped_actor_change_a_setting(self, acme, wallet, change):
        before = everything()

        with pytest.raises(PermissionDenied), transaction.atomic():
            change(acme, actor_for(acme, wallet_scope=frozenset([wallet.id])))

        assert everything() == before

    def test_scoped_key_ends_only_its_own_freeze(self, scoped, api, wallet):
        path = f"/v1/wallets/{wallet.id}"

        assert scoped.post(f"{path}/freeze").status_code == 200
        assert scoped.post(f"{path}/unfreeze").status_code == 200
        api.post(f"{path}/freeze")
        assert scoped.post(f"{path}/freeze").status_code == 200  # the freeze stays the other key's
        assert error_of(scoped.post(f"{path}/unfreeze")) == "PERMISSION_DENIED"
        assert api.post(f"{path}/unfreeze").json()["status"] == "ACTIVE"

    def test_scoped_key_cannot_end_a_freeze_that_another_key_repeated(
        self, scoped, api, acme, wallet
    ):
        path = f"/v1/wallets/{wallet.id}"

        for key in (scoped, api, api):
            assert key.post(f"{path}/freeze").json()["status"] == "FROZEN"

        assert error_of(scoped.post(f"{path}/unfreeze")) == "PERMISSION_DENIED"
        assert len(events_of(acme, "wallet.frozen")) == 2

    def test_scoped_key_simulates_usdc_to_its_wallets_and_to_strangers(self, acme, globex, shop):
        coins = make_wallet(acme, "Coins", currency="USDC")
        foreign = make_wallet(globex, "Theirs", currency="USDC")
        scoped = Client(make_key(acme, wallet_scope=[coins.id]))

        for transfer in (rails.expect(coins, "5"), rails.expect(foreign, "5")):
            body = {"address": transfer.address, "amount": "5"}
            assert scoped.post("/v1/sandbox/usdc-payments", body).status_code == 201
        rails.settle(acme)
        assert balance_of(coins) == 5
