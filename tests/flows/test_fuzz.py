"""Random requests: the response is always JSON and never a 500, and the books balance."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.endpoints import WRITES, scene
from tests.flows.test_bad_input import FIELDS

texts = st.text(max_size=30) | st.sampled_from(["", "\0", "\ud800", "USD", "0", "-1", "1e400"])
numbers = st.integers() | st.decimals(allow_nan=False, allow_infinity=False).map(float)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
AMOUNTS = st.sampled_from(["1", "0.25", 5, 0.1, "999999999999", "0.00000001", "1000"])


@pytest.mark.parametrize("endpoint", WRITES, ids=str)
def test_random_body_never_causes_a_500(endpoint, api, acme):
    things = scene(acme)
    known = st.sampled_from([*things.values(), "SANDBOX", "PRODUCTION", "USDC", "wallets:read"])
    names = sorted({"amount", "unknown", *endpoint.body, *FIELDS.get(str(endpoint), ())})
    fields = st.sampled_from(names)

    @given(st.dictionaries(fields, values | known | AMOUNTS, max_size=6), st.booleans())
    def send(change, is_complete):
        body = (endpoint.content(things) if is_complete else {}) | change
        raw = json.dumps(body).encode()

        response = api.request(endpoint.method, endpoint.url(things), raw=raw)

        assert response.status_code < 500, (body, response.content)
        assert response.headers["Content-Type"] == "application/json"
        assert isinstance(response.json(), dict)
        assert ("error" in response.json()) == (response.status_code not in (200, 201))

    send()
