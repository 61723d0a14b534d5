"""Lists have one format and opaque cursors, and their pages show every row once."""

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
    def test_response_has_all_keys_of_a_page(self, endpoint, api, acme):
        page = api.get(endpoint.url(scene(acme))).json()

        if endpoint.path.endswith("/transfers"):  # the Python client reads them there
            assert page.pop("transfers") == page["data"]
        assert set(page) == {"data", "hasMore", "cursor", "nextCursor"}
        assert isinstance(page["data"], list)
        assert (page["hasMore"], page["cursor"], page["nextCursor"]) == (False, None, None)

    def test_limit_is_clamped(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for limit in ("1", "100", "1000", "-5", "0", "99999999999999999999"):
            response = api.get(url, limit=limit)
            assert response.status_code == 200, limit
            assert len(response.json()["data"]) <= min(max(int(limit), 1), 100)

    def test_limit_that_is_not_a_number_is_refused(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for limit in ("abc", "", "1.5", "1e2", "\0", "null", "9" * 5_000, "１０"):
            response = api.get(url, limit=limit)
            assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR"), limit
            assert "limit" in response.json()["error"]["details"]["fields"]

    def test_unknown_cursor_is_refused(self, endpoint, api, acme):
        url = endpoint.url(scene(acme))

        for cursor in FOREIGN_CURSORS:
            response = api.get(url, cursor=cursor)
            assert (response.status_code, error_of(response)) == (400, "VALIDATION_ERROR"), cursor
            assert "cursor" in response.json()["error"]["details"]["fields"]

    def test_unknown_filters_are_ignored(self, endpoint, api, acme):
        things = scene(acme)

        assert api.get(endpoint.url(things), colour="red").json() == (
            api.get(endpoint.url(things)).json()
        )


class TestPages:
    def test_default_page_has_twenty_rows(self, api, acme):
        for number in range(22):
            make_wallet(acme, str(number))

        first = api.get("/v1/wallets").json()
        second = api.get("/v1/wallets", cursor=first["nextCursor"]).json()

        assert (len(first["data"]), first["hasMore"]) == (20, True)
        assert first["cursor"] == first["nextCursor"] is not None
        assert (len(second["data"]), second["hasMore"], second["cursor"]) == (3, False, None)

    def test_full_last_page_has_no_more(self, api, acme):
        make_wallet(acme)

        page = api.get("/v1/wallets", limit=2).json()

        assert (len(page["data"]), page["hasMore"], page["cursor"]) == (2, False, None)

    def test_new_rows_do_not_shift_the_next_page(self, api, acme):
        older = [make_wallet(acme, str(number)).id for number in range(4)]
        first = api.get("/v1/wallets", limit=2).json()
        make_wallet(acme, "new")

        second = api.get("/v1/wallets", limit=2, cursor=first["cursor"]).json()

        assert [w["id"] for w in first["data"] + second["data"]] == older[::-1]

    def test_cursor_shows_nothing_of_other_organizations(self, api, stranger, acme, globex):
        make_wallet(acme)
        cursor = api.get("/v1/wallets", limit=1).json()["cursor"]
        make_wallet(globex, "Later")

        seen = stranger.get("/v1/wallets", cursor=cursor).json()["data"]

        assert [(w["organizationId"], w["name"]) for w in seen] == [(globex.id, "Main wallet")]

    def test_empty_cursor_starts_at_the_newest(self, api, wallet):
        assert api.get("/v1/wallets", cursor="").json() == api.get("/v1/wallets").json()

    def test_page_after_the_last_row_is_empty(self, api, wallet):
        fund(wallet, "5")

        page = api.get("/v1/wallets", cursor=encoded(ids.to_text("wal", ids.uuid.UUID(int=0))))

        assert page.json()["data"] == []
