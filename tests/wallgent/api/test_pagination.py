"""Lists: one shape, opaque cursors, every item once."""

import base64

import pytest

from tests.endpoints import LISTS, scene
from tests.world import error_of, fund, make_wallet
from wallgent import ids

each_list = pytest.mark.parametrize("endpoint", LISTS, ids=str)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


FOREIGN_CURSORS = [
    "garbage",
    "!",
    "\0",
    "é",
    "====",
    "a" * 10_000,
    encoded("x"),
    encoded("\0"),
    encoded("-1"),
    encoded("wal_" + "0" * 25),
    encoded("wal_" + "U" * 26),
    encoded("9" * 30),
    encoded("9" * 5_000),
    base64.urlsafe_b64encode(b"\xff\xfe").decode(),
]


@each_list
class TestEveryList:
    def test_answers_the_superset_shape(self, endpoint, api, acme):
        page = api.get(endpoint.url(scene(acme))).json()

        if endpoint.path.endswith("/transfers"):  # the Python client reads them there
            assert page.pop("transfers") == page["data"]
        assert set(page) == {"data", "hasMore", "cursor", "nextCursor"}
        assert isinstance(page["data"], list)
        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)

    def test_clamps_the_limit(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for limit in ("1", "100", "1000", "-5", "0", "99999999999999999999"):
            response = api.get(url, limit=limit)
            assert response.status_code == 200, limit
            assert len(response.json()["data"]) <= min(max(int(limit), 1), 100)

    def test_refuses_a_limit_that_is_no_number(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for limit in ("abc", "", "1.5", "1e2", "\0", "null", "9" * 5_000, "１０"):
            response = api.get(url, limit=limit)
            assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR"), limit
            assert "limit" in response.json()["error"]["details"]["fields"]

    def test_refuses_a_cursor_that_is_not_ours(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for cursor in FOREIGN_CURSORS:
            response = api.get(url, cursor=cursor)
            assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR"), cursor
            assert "cursor" in response.json()["error"]["details"]["fields"]

    def test_ignores_unknown_filters(self, endpoint, api, acme):
        things = scene(acme)

        assert api.get(endpoint.url(things), colour="red").json() == (
            api.get(endpoint.url(things)).json()
        )


class TestPages:
    def test_twenty_by_default(self, api, acme):
        for number in range(22):
            make_wallet(acme, str(number))

        first = api.get("/v1/wallets").json()
        second = api.get("/v1/wallets", cursor=first["nextCursor"]).json()

        assert (len(first["data"]), first["hasMore"]) == (20, True)
        assert first["cursor"] == first["nextCursor"] is not None
        assert (len(second["data"]), second["hasMore"], second["cursor"]) == (3, False, None)

    def test_a_full_last_page_has_no_more(self, api, acme):
        make_wallet(acme)

        page = api.get("/v1/wallets", limit=2).json()

        assert (len(page["data"]), page["hasMore"], page["cursor"]) == (2, False, None)

    def test_what_comes_in_meanwhile_shifts_nothing(self, api, acme):
        older = [make_wallet(acme, str(number)).id for number in range(4)]
        first = api.get("/v1/wallets", limit=2).json()
        make_wallet(acme, "new")

        second = api.get("/v1/wallets", limit=2, cursor=first["cursor"]).json()

        assert [w["id"] for w in first["data"] + second["data"]] == older[::-1]

    def test_a_cursor_shows_nothing_of_others(self, api, stranger, acme, globex):
        make_wallet(acme)
        cursor = api.get("/v1/wallets", limit=1).json()["cursor"]
        make_wallet(globex, "Later")

        seen = stranger.get("/v1/wallets", cursor=cursor).json()["data"]

        assert [(w["organizationId"], w["name"]) for w in seen] == [(globex.id, "Main wallet")]

    def test_an_empty_cursor_starts_at_the_newest(self, api, wallet):
        assert api.get("/v1/wallets", cursor="").json() == api.get("/v1/wallets").json()

    def test_the_end_is_an_empty_page(self, api, wallet):
        fund(wallet, "5")

        page = api.get("/v1/wallets", cursor=encoded(ids.to_text("wal", ids.uuid.UUID(int=0))))

        assert page.json()["data"] == []
