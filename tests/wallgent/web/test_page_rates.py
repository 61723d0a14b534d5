"""Rate limits of pages per user or network, and per organization, for reads and for writes."""

import pytest

from tests import world
from wallgent.api import throttling
from wallgent.web import page_rates


@pytest.fixture
def limit(monkeypatch):
    def limit(**limits):
        for name, figure in limits.items():
            monkeypatch.setattr(page_rates, name, figure)

    return limit


@pytest.fixture
def person(acme):
    return world.browser(world.make_member(acme))


@pytest.fixture
def wallets(acme):
    return f"/{acme.id}/sandbox/wallets"


def statuses(client, path, times=3, **options) -> list[int]:
    return [client.get(path, **options).status_code for _ in range(times)]


class TestUser:
    def test_reads_are_limited(self, person, wallets, limit):
        limit(READS=2)

        assert statuses(person, wallets) == [200, 200, 429]

    def test_writes_are_limited_separately(self, person, wallets, limit):
        limit(READS=1, WRITES=1)

        assert person.get(wallets).status_code == 200
        assert [person.post(f"{wallets}/new").status_code for _ in range(2)] == [422, 429]

    def test_a_colleague_is_not_affected(self, acme, person, wallets, limit):
        limit(READS=1)
        statuses(person, wallets)

        assert world.browser(world.make_member(acme)).get(wallets).status_code == 200

    def test_support_staff_are_limited(self, acme, limit):
        limit(READS=1)
        staff = world.make_member(acme, is_staff=True, is_superuser=True)

        assert statuses(world.browser(staff), "/admin/", 2) == [200, 429]


class TestNetwork:
    def test_visitors_are_limited_by_network(self, db, client, limit):
        limit(READS=2)

        assert statuses(client, "/account/login/") == [200, 200, 429]
        assert client.get("/account/login/", REMOTE_ADDR="192.0.2.1").status_code == 200

    def test_signed_in_users_are_not_limited_by_network(self, client, person, wallets, limit):
        limit(READS=1)
        statuses(client, "/account/login/")

        assert person.get(wallets).status_code == 200

    def test_unknown_session_is_counted_by_network(self, db, client, limit):
        limit(READS=1)
        client.get("/account/login/")
        client.cookies["sessionid"] = "made-up"

        assert client.get("/account/login/").status_code == 429

    @pytest.mark.parametrize("path", ["/pay/unknown", "/healthz", "/v1/wallets"])
    def test_views_with_their_own_limits_are_not_counted(self, db, client, limit, path):
        limit(READS=0)

        assert client.get(path).status_code in (200, 401, 404)


class TestOrganization:
    def test_all_people_of_an_organization_share_a_limit(self, acme, person, wallets, limit):
        limit(ORGANIZATION_READS=2)
        colleague = world.browser(world.make_member(acme))

        assert statuses(person, wallets, 2) == [200, 200]
        assert colleague.get(wallets).status_code == 429

    def test_another_organization_of_the_same_person_is_not_affected(
        self, acme, globex, wallets, limit
    ):
        limit(ORGANIZATION_READS=1)
        user = world.make_member(acme)
        globex.memberships.create(user=user, role="OWNER")
        person = world.browser(user)
        statuses(person, wallets)

        assert person.get(f"/{globex.id}/sandbox/wallets").status_code == 200

    def test_people_who_are_not_members_do_not_use_up_the_limit(
        self, globex, person, wallets, limit
    ):
        limit(ORGANIZATION_READS=1)
        stranger = world.browser(world.make_member(globex))

        assert statuses(stranger, wallets) == [404] * 3
        assert person.get(wallets).status_code == 200


class TestRefusal:
    def test_refusal_is_a_page_that_says_how_long_to_wait(self, person, wallets, limit):
        limit(READS=0)

        answer = person.get(wallets)

        assert 1 <= int(answer.headers["Retry-After"]) <= 61
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Too many requests" in answer.content.decode()
        assert f"Wait {answer.headers['Retry-After']} second" in answer.content.decode()

    def test_refusal_for_a_script_is_text(self, person, wallets, limit):
        limit(ORGANIZATION_READS=0)

        answer = person.get(wallets, headers={"hx-request": "true"})

        assert (answer.status_code, answer.headers["Content-Type"]) == (429, "text/plain")
        assert "Retry-After" in answer.headers

    def test_refused_form_changes_nothing(self, person, wallets, limit):
        limit(WRITES=0)
        before = world.everything()

        assert person.post(f"{wallets}/new", {"name": "A"}).status_code == 429
        assert world.everything() == before


def test_without_redis_no_page_is_refused(person, wallets, limit, monkeypatch):
    limit(READS=0, ORGANIZATION_READS=0)
    monkeypatch.setattr(throttling.redis, "attempt", lambda call, default=None: default)

    assert person.get(wallets).status_code == 200
