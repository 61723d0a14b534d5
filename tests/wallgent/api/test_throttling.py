"""Rate limits per plan, organization and environment, for reads and for writes."""

import time

import pytest

from accounts.organizations.models import Organization
from tests.world import Client, balance_of, error_of, everything, fund, make_key
from wallgent import redis
from wallgent.api import throttling


def limit(organization: Organization, **fields) -> None:
    fields = {"custom_reads_per_minute": None, "custom_writes_per_minute": None} | fields
    Organization.objects.filter(pk=organization.pk).update(**fields)


def remaining(response) -> int:
    return int(response.headers["X-RateLimit-Remaining"])


@pytest.fixture
def minute(monkeypatch):
    """A clock at the beginning of a minute. Set `minute.now` to move it."""

    class Minute:
        now = 1_800_000_000.0

    monkeypatch.setattr(throttling.time, "time", lambda: Minute.now)
    return Minute


class TestLimits:
    @pytest.mark.parametrize(
        ("plan", "reads", "writes"),
        [("FREE", 60, 10), ("STARTER", 200, 50), ("GROWTH", 500, 100), ("ENTERPRISE", 2000, 500)],
    )
    def test_limits_follow_the_plan(self, api, acme, minute, plan, reads, writes):
        limit(acme, plan=plan)

        read = api.get("/v1/wallets")
        write = api.patch("/v1/organizations/me", {})

        assert read.headers["X-RateLimit-Limit"] == str(reads)
        assert write.headers["X-RateLimit-Limit"] == str(writes)
        assert (remaining(read), remaining(write)) == (reads - 1, writes - 1)
        assert int(read.headers["X-RateLimit-Reset"]) == minute.now + 60

    def test_tenth_write_is_the_last_on_the_free_plan(self, api, acme, wallet, minute):
        limit(acme, plan="FREE")

        answers = [api.post(f"/v1/wallets/{wallet.id}/fund", {"amount": "1"}) for _ in range(12)]

        assert [a.status_code for a in answers] == [201] * 10 + [429] * 2
        assert [remaining(a) for a in answers] == [*range(9, -1, -1), 0, 0]
        refused = answers[-1]
        assert error_of(refused) == "RATE_LIMIT_EXCEEDED"
        assert refused.headers["X-RateLimit-Limit"] == "10"
        assert 1 <= int(refused.headers["Retry-After"]) <= 61
        assert refused.headers["Content-Type"] == "application/json"
        assert balance_of(wallet) == 10

    def test_reads_and_writes_are_counted_separately(self, api, acme, minute):
        limit(acme, custom_reads_per_minute=1, custom_writes_per_minute=1)

        assert api.get("/v1/wallets").status_code == 200
        assert api.post("/v1/wallets", {"name": "A"}).status_code == 201
        assert api.get("/v1/wallets").status_code == 429
        assert api.post("/v1/wallets", {"name": "A"}).status_code == 429

    def test_head_counts_as_a_read(self, api, acme, minute):
        limit(acme, custom_reads_per_minute=1)

        assert api.request("HEAD", "/v1/wallets").status_code == 200
        assert api.get("/v1/wallets").status_code == 429

    def test_keys_of_one_organization_share_a_limit(self, api, acme, minute):
        limit(acme, custom_reads_per_minute=1)
        api.get("/v1/wallets")

        assert Client(make_key(acme)).get("/v1/wallets").status_code == 429

    def test_environments_and_organizations_have_separate_limits(
        self, api, live_api, stranger, acme, minute
    ):
        limit(acme, custom_reads_per_minute=1)
        assert [api.get("/v1/wallets").status_code for _ in range(2)] == [200, 429]

        assert live_api.get("/v1/wallets").status_code == 200
        assert stranger.get("/v1/wallets").status_code == 200

    def test_custom_limit_replaces_the_plans_limit(self, api, acme, minute):
        limit(acme, plan="FREE", custom_writes_per_minute=5_000)

        response = api.patch("/v1/organizations/me", {})

        assert response.headers["X-RateLimit-Limit"] == "5000"
        assert api.get("/v1/wallets").headers["X-RateLimit-Limit"] == "60"

    def test_zero_is_a_limit(self, api, acme, minute):
        limit(acme, custom_writes_per_minute=0)

        assert api.post("/v1/wallets", {"name": "A"}).status_code == 429

    def test_new_plan_applies_to_the_next_call(self, api, acme, minute):
        limit(acme, plan="FREE")
        for _ in range(10):
            api.patch("/v1/organizations/me", {})
        assert api.patch("/v1/organizations/me", {}).status_code == 429

        limit(acme, plan="STARTER")

        assert api.patch("/v1/organizations/me", {}).status_code == 200

    def test_requests_refused_for_other_reasons_count(self, api, acme, minute):
        limit(acme, custom_reads_per_minute=2)

        api.get("/v1/wallets/unknown")
        api.get("/v1/payments", limit="abc")

        assert api.get("/v1/wallets").status_code == 429

    def test_every_response_has_rate_limit_headers(self, api, acme, minute):
        for response in (
            api.get("/v1/wallets/unknown"),
            api.post("/v1/payments", {}),
            api.request("PUT", "/v1/wallets"),
            Client(make_key(acme, permissions=[])).get("/v1/wallets"),
        ):
            assert response.status_code >= 400
            assert response.headers["X-RateLimit-Limit"]
            assert response.headers["X-RateLimit-Remaining"]
            assert response.headers["X-RateLimit-Reset"]

    def test_limited_call_changes_nothing(self, api, acme, wallet, savings, minute):
        fund(wallet, "100")
        limit(acme, custom_writes_per_minute=0)
        before = everything()

        order = {"from": wallet.id, "to": savings.id, "amount": "5", "idempotencyKey": "k"}
        assert api.post("/v1/payments", order).status_code == 429
        assert everything() == before

        limit(acme, custom_writes_per_minute=1)
        assert api.post("/v1/payments", order).status_code == 201


class TestSlidingMinute:
    def test_no_double_burst_is_possible_at_the_end_of_a_minute(self, minute):
        minute.now += 59
        for _ in range(10):
            throttling.check(subject="s", limit=10)
        minute.now += 2  # one second into the next minute, which leaves room for one request

        throttling.check(subject="s", limit=10)
        with pytest.raises(throttling.RateLimitExceeded):
            throttling.check(subject="s", limit=10)

    @pytest.mark.parametrize("at", [0, 17, 59.9])
    @pytest.mark.parametrize("later", [0, 30, 61, 75, 100])
    def test_waiting_as_long_as_retry_after_says_is_enough(self, minute, at, later):
        def call(times):
            for _ in range(times):
                throttling.check(subject="s", limit=10)

        minute.now += at
        call(10)
        minute.now += later
        with pytest.raises(throttling.RateLimitExceeded) as caught:
            call(11)

        wait = int(caught.value.headers["Retry-After"])
        minute.now += wait
        throttling.check(subject="s", limit=10)
        assert 1 <= wait <= 61

    def test_refused_call_does_not_count(self, minute):
        throttling.check(subject="s", limit=1)
        for _ in range(50):
            with pytest.raises(throttling.RateLimitExceeded):
                throttling.check(subject="s", limit=1)
        minute.now += 120

        assert throttling.check(subject="s", limit=1)["X-RateLimit-Remaining"] == "0"

    def test_counters_expire(self, minute):
        throttling.check(subject="s", limit=10)

        (key,) = redis.client().keys("rate:*")
        assert 0 < redis.client().ttl(key) <= 120


class TestWithoutRedis:
    @pytest.fixture
    def no_redis(self, settings, tmp_path, monkeypatch):
        monkeypatch.setattr(redis, "_unavailable_until", 0.0)
        settings.REDIS_URL = f"unix://{tmp_path}/missing.sock"
        for cached in (redis.client, throttling._script):
            cached.cache_clear()
        yield
        for cached in (redis.client, throttling._script):
            cached.cache_clear()

    def test_no_request_is_refused(self, no_redis, api, acme, wallet, savings):
        limit(acme, custom_reads_per_minute=0, custom_writes_per_minute=0)
        fund(wallet, "100")

        read = api.get("/v1/wallets")
        order = {"from": wallet.id, "to": savings.id, "amount": "5"}
        write = api.post("/v1/payments", order)

        assert (read.status_code, write.status_code) == (200, 201)
        assert "X-RateLimit-Limit" not in read.headers

    def test_later_requests_do_not_wait_for_redis(self, no_redis, api):
        api.get("/v1/wallets")
        started = time.monotonic()

        for _ in range(3):
            api.get("/v1/wallets")

        assert redis._unavailable_until > started
