"""Dashboard pages of API keys."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from accounts.organizations import permissions
from accounts.organizations.forms.api_keys import PERMISSIONS
from accounts.organizations.models import ApiKey
from tests import world
from tests.world import unknown_id
from wallgent import clock, ids

NASTY = "<script>alert(1)</script> ‮שלום 🦉"


@pytest.fixture
def owner(acme):
    return world.browser(world.make_member(acme, "OWNER"))


def url(organization, path="", environment="sandbox"):
    return f"/{organization.id}/{environment}/api-keys{path}"


def form_data(**more):
    return {
        "submission": ids.new("sub"),
        "name": "Billing server",
        "permissions": ["payments:read", "payments:write"],
        "allowed_ips": "",
        "expires_on": "",
        **more,
    }


def secret_in(answer) -> str:
    return re.search(r"wg_(?:test|live)_[\w-]{20,}", answer.content.decode())[0]


def test_every_permission_has_a_description():
    described = [name for group in PERMISSIONS.values() for name in group]

    assert sorted(described) == sorted(permissions.ALL)


class TestCreate:
    def test_shows_a_working_secret_once(self, owner, acme):
        form = form_data()

        answer = owner.post(url(acme, "/new"), form)

        key = ApiKey.objects.get()
        secret = secret_in(answer)
        assert answer.status_code == 200
        assert "no-store" in answer.headers["Cache-Control"]
        assert world.Client(secret).get("/v1/payments").status_code == 200
        assert world.Client(secret).get("/v1/wallets").status_code == 403
        again = owner.post(url(acme, "/new"), form)
        assert (again.status_code, again.url) == (303, url(acme, f"/{key.id}"))
        assert secret not in owner.get(again.url).content.decode()
        assert ApiKey.objects.count() == 1

    def test_saves_every_limit(self, owner, acme, wallet):
        tomorrow = clock.real_now().date() + timedelta(days=1)

        owner.post(
            url(acme, "/new"),
            form_data(
                wallet_scope=[wallet.id],
                allowed_ips="203.0.113.7\n2001:db8::/32, 10.1.2.3/8",
                expires_on=tomorrow.isoformat(),
            ),
        )

        key = ApiKey.objects.get()
        assert key.wallet_scope == [wallet.id]
        assert key.allowed_ips == ["203.0.113.7/32", "2001:db8::/32", "10.0.0.0/8"]
        assert key.expires_at.date() == tomorrow + timedelta(days=1), (
            "valid to the end of the last day"
        )
        html = owner.get(url(acme, f"/{key.id}")).content.decode()
        for text in ("Research agent", "10.0.0.0/8", "payments:write", key.key_prefix):
            assert text in html

    def test_key_without_selected_wallets_reaches_all(self, owner, acme, wallet):
        owner.post(url(acme, "/new"), form_data())

        assert ApiKey.objects.get().wallet_scope is None

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "w" * 257),
            ("permissions", []),
            ("permissions", ["everything"]),
            ("allowed_ips", "localhost"),
            ("allowed_ips", "10.0.0.1/64"),
            ("allowed_ips", "10.0.0.1\n" * 101),
            ("expires_on", "soon"),
            ("expires_on", "2020-01-01"),
            ("expires_on", "9999-12-31"),
            ("wallet_scope", ["wal_x"]),
        ],
    )
    def test_invalid_input_is_reported_at_its_field(self, owner, acme, wallet, field, value):
        answer = owner.post(url(acme, "/new"), form_data(**{field: value}))

        html = answer.content.decode()
        assert answer.status_code == 422
        assert f'id="id_{field}_error"' in html
        assert not ApiKey.objects.exists()
        assert 'value="payments:write" id="id_permissions' in html, "the input is kept"

    def test_wallet_of_a_stranger_is_refused(self, owner, acme, wallet, shop):
        answer = owner.post(url(acme, "/new"), form_data(wallet_scope=[wallet.id, shop.id]))

        assert answer.status_code == 422
        assert not ApiKey.objects.exists()

    def test_changed_resubmit_is_refused(self, owner, acme):
        form = form_data()
        owner.post(url(acme, "/new"), form)

        answer = owner.post(url(acme, "/new"), form | {"name": "Other"})

        assert answer.status_code == 422
        assert "You sent this form before" in answer.content.decode()
        assert ApiKey.objects.count() == 1

    def test_production_keys_require_activation(self, owner, acme):
        refused = owner.post(url(acme, "/new", "production"), form_data())
        world.activate_production(acme)
        created = owner.post(url(acme, "/new", "production"), form_data())

        assert refused.status_code == 422
        assert "Production is not activated" in refused.content.decode()
        assert secret_in(created).startswith("wg_live_")

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_requires_owner_or_admin(self, acme, role):
        browser = world.browser(world.make_member(acme, role))

        assert browser.get(url(acme, "/new")).status_code == 403
        assert browser.post(url(acme, "/new"), form_data()).status_code == 403
        assert "Create a key" not in browser.get(url(acme)).content.decode()
        assert not ApiKey.objects.exists()

    def test_shows_permissions_in_groups(self, owner, acme):
        html = owner.get(url(acme, "/new")).content.decode()

        for group, descriptions in PERMISSIONS.items():
            assert f">{group}</legend>" in html
            for name in descriptions:
                assert html.count(f'value="{name}"') == 1


class TestList:
    def test_shows_when_there_are_no_keys(self, owner, acme):
        assert "No API keys yet" in owner.get(url(acme)).content.decode()

    def test_shows_keys_of_this_environment_without_secrets(self, owner, acme, globex):
        secret = world.make_key(acme, name="Mine")
        world.make_key(acme, environment="PRODUCTION", name="Live")
        world.make_key(globex, name="Theirs")

        html = owner.get(url(acme)).content.decode()

        assert "Mine" in html
        assert secret[:14] in html
        assert secret not in html
        assert "Live</bdi>" not in html
        assert "Theirs" not in html

    def test_shows_hostile_names_as_text(self, owner, acme):
        world.make_key(acme, name=NASTY)

        for path in (url(acme), url(acme, f"/{ApiKey.objects.get().id}")):
            html = owner.get(path).content.decode()
            assert escape(NASTY) in html
            assert "<script>alert" not in html

    @pytest.mark.parametrize("sort", ["name", "-used", "expires", "-created", "x"])
    def test_sorting_takes_the_same_number_of_queries_for_any_number_of_keys(
        self, owner, acme, sort
    ):
        world.make_key(acme)
        owner.get(url(acme))
        with CaptureQueriesContext(connection) as before:
            owner.get(url(acme, f"?sort={sort}"))
        for _ in range(5):
            world.make_key(acme)

        with CaptureQueriesContext(connection) as after:
            answer = owner.get(url(acme, f"?sort={sort}"))

        assert answer.status_code == 200
        assert len(after) == len(before)

    def test_sorts_unused_keys_last(self, owner, acme):
        world.Client(world.make_key(acme, name="Busy")).get("/v1/wallets")
        world.make_key(acme, name="Idle")

        for sort in ("used", "-used"):
            html = owner.get(url(acme, f"?sort={sort}")).content.decode()
            assert html.index("Busy</bdi>") < html.index("Idle</bdi>")


class TestRevoke:
    @pytest.fixture
    def secret(self, acme):
        return world.make_key(acme, name="Old server")

    def path(self, acme):
        return url(acme, f"/{ApiKey.objects.get().id}/revoke")

    def test_confirms_then_revokes_the_key_at_once(self, owner, acme, secret):
        page = owner.get(self.path(acme)).content.decode()
        form = {"submission": ids.new("sub")}

        answers = [owner.post(self.path(acme), form) for _ in range(2)]

        key = ApiKey.objects.get()
        assert "Old server" in page
        assert [(a.status_code, a.url) for a in answers] == [(303, url(acme, f"/{key.id}"))] * 2
        assert world.Client(secret).get("/v1/wallets").status_code == 401
        html = owner.get(answers[0].url).content.decode()
        assert "Revoked" in html
        assert "/revoke" not in html
        assert len(world.events_of(acme, "api_key.revoked")) == 1

    def test_shows_when_the_key_is_already_revoked(self, owner, acme, secret):
        owner.post(self.path(acme), {"submission": ids.new("sub")})

        assert "revoked already" in owner.get(self.path(acme)).content.decode()

    @pytest.mark.parametrize("role", ["MEMBER", "VIEWER"])
    def test_requires_owner_or_admin(self, acme, secret, role):
        browser = world.browser(world.make_member(acme, role))

        answer = browser.post(self.path(acme), {"submission": ids.new("sub")})

        assert answer.status_code == 403
        assert world.Client(secret).get("/v1/wallets").status_code == 200
        assert (
            "/revoke" not in browser.get(self.path(acme).removesuffix("/revoke")).content.decode()
        )


class TestUrls:
    @pytest.mark.parametrize("path", ["/{id}", "/{id}/revoke"])
    def test_foreign_unknown_and_malformed_ids_are_not_found(self, owner, acme, globex, path):
        world.make_key(globex)
        foreign = ApiKey.objects.get().id

        for id in (foreign, unknown_id("key"), "x", "..", "key_" + "Z" * 26, "wal_" + "0" * 26):
            assert owner.get(url(acme, path.format(id=id))).status_code == 404
            posted = owner.post(url(acme, path.format(id=id)), {"submission": ids.new("sub")})
            assert posted.status_code in (404, 405)

    def test_keys_of_the_other_environment_are_not_found(self, owner, acme):
        world.make_key(acme)

        assert owner.get(url(acme, f"/{ApiKey.objects.get().id}", "production")).status_code == 404

    @pytest.mark.parametrize("path", ["", "/new"])
    def test_strangers_get_404_and_guests_are_redirected_to_sign_in(
        self, acme, globex, client, path
    ):
        stranger = world.browser(world.make_member(globex))

        assert stranger.get(url(acme, path)).status_code == 404
        answer = client.get(url(acme, path))
        assert answer.status_code == 302
        assert answer.url.endswith(f"?next={url(acme, path)}")
