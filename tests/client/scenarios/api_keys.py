"""client.api_keys, and errors that depend only on the key."""

from stage import TIMESTAMP, ids_of, models, pages_of, refused

from wallgent import (
    ApiKeyRevokedError,
    EnvironmentMismatchError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitExceededError,
    UnauthorizedError,
    ValidationError,
)


def create_shows_the_secret_once(stage):
    response = stage.client.api_keys.create("Robot", ["wallets:read"])
    key = models.ApiKey.model_validate(response)
    assert key.id.startswith("key_")
    assert (key.name, key.permissions) == ("Robot", ["wallets:read"])
    assert (key.environment, key.status, key.expires_at) == ("SANDBOX", "ACTIVE", None)
    assert key.secret.startswith("wg_test_") and key.secret.startswith(key.key_prefix)
    assert len(key.key_prefix) < len(key.secret) / 2
    assert TIMESTAMP.fullmatch(key.created_at)

    found = stage.client.api_keys.retrieve(key.id)
    assert "secret" not in found
    assert found == {name: value for name, value in response.items() if name != "secret"}

    robot = stage.connect(key.secret)
    assert robot.wallets.retrieve(stage.wallet)["id"] == stage.wallet
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        robot.payments.list()


def key_without_permissions_is_denied_everything(stage):
    key = stage.client.api_keys.create("Nothing", [])
    nothing = stage.connect(key["secret"])
    for call in (nothing.wallets.list, nothing.payments.list, nothing.api_keys.list):
        with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
            call()


def create_in_each_environment(stage):
    same = stage.client.api_keys.create("Same", ["wallets:read"], environment="SANDBOX")
    assert same["environment"] == "SANDBOX"
    live = stage.client_of("live")
    key = live.api_keys.create("Live", ["wallets:read"], environment="PRODUCTION")
    assert key["environment"] == "PRODUCTION" and key["secret"].startswith("wg_live_")
    assert live.api_keys.create("Live", [])["environment"] == "PRODUCTION"
    assert stage.connect(key["secret"]).wallets.retrieve(stage.live_wallet)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        stage.client.api_keys.create("Up", ["wallets:read"], environment="PRODUCTION")
    # An organization that is not activated for production.
    with refused(PermissionDeniedError, status=403, code="KYB_REQUIRED"):
        stage.stranger.api_keys.create("Up", ["wallets:read"], environment="PRODUCTION")
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.api_keys.create("Odd", [], environment="STAGING")


def create_grants_no_more_than_the_callers_permissions(stage):
    permissions = ["organizations:read", "organizations:write", "wallets:read"]
    limited = stage.connect(stage.client.api_keys.create("Limited", permissions)["secret"])
    assert limited.api_keys.create("Same", permissions)["permissions"] == permissions
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED") as refusal:
        limited.api_keys.create("More", [*permissions, "payments:write"])
    assert "payments:write" in refusal.error.message
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.api_keys.create("Typo", ["wallets:raed"])
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.api_keys.create("", ["wallets:read"])
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        stage.client_of("reader").api_keys.create("x", [])


def list_returns_every_page(stage):
    created = [stage.client.api_keys.create(f"Key {n}", [])["id"] for n in range(3)]
    whole = stage.client.api_keys.list()
    assert ids_of(whole["data"])[:3] == created[::-1]
    pages = list(pages_of(stage.client.api_keys.list, limit=2))
    assert all(len(page) == 2 for page in pages[:-1])
    keys = [models.ApiKey.model_validate(key) for page in pages for key in page]
    assert [key.id for key in keys] == ids_of(whole["data"])
    assert {key.environment for key in keys} == {"SANDBOX"}
    assert all(key.secret is None for key in keys)
    assert {key.status for key in keys} == {"ACTIVE", "EXPIRED"}
    assert not set(ids_of(stage.stranger.api_keys.list(limit=100)["data"])) & set(created)


def update_takes_effect_at_once(stage):
    key = stage.client.api_keys.create("Robot", ["wallets:read"])
    robot = stage.connect(key["secret"])
    renamed = models.ApiKey.model_validate(stage.client.api_keys.update(key["id"], name="R2"))
    assert (renamed.name, renamed.permissions) == ("R2", ["wallets:read"])
    changed = stage.client.api_keys.update(key["id"], permissions=["payments:read"])
    assert (changed["name"], changed["permissions"]) == ("R2", ["payments:read"])
    assert robot.payments.list()["data"] == []
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED"):
        robot.wallets.list()
    both = stage.client.api_keys.update(key["id"], name="R3", permissions=[])
    assert (both["name"], both["permissions"]) == ("R3", [])
    assert stage.client.api_keys.update(key["id"])["name"] == "R3"
    with refused(ValidationError, status=400, code="VALIDATION_ERROR"):
        stage.client.api_keys.update(key["id"], permissions=["everything"])


def delete_takes_effect_at_once(stage):
    key = stage.client.api_keys.create("Robot", ["wallets:read"])
    robot = stage.connect(key["secret"])
    assert robot.wallets.list()["data"]
    assert stage.client.api_keys.delete(key["id"]) is None
    with refused(ApiKeyRevokedError, status=401, code="API_KEY_REVOKED"):
        robot.wallets.list()
    assert stage.client.api_keys.retrieve(key["id"])["status"] == "REVOKED"
    assert stage.client.api_keys.delete(key["id"]) is None


def keys_of_others_are_not_found(stage):
    theirs = stage.stranger.api_keys.create("Theirs", [])["id"]
    for unknown in (theirs, "key_01ARZ3NDEKTSV4RRFFQ69G5FAV", "nonsense"):
        for call in (
            stage.client.api_keys.retrieve,
            stage.client.api_keys.update,
            stage.client.api_keys.delete,
        ):
            with refused(NotFoundError, status=404, code="NOT_FOUND"):
                call(unknown)
    with refused(EnvironmentMismatchError, status=403, code="ENVIRONMENT_MISMATCH"):
        key = stage.client_of("live").api_keys.create("Live", [])
        stage.client.api_keys.retrieve(key["id"])


def invalid_keys_are_refused(stage):
    for secret in ("wg_test_nonsense", "nonsense", "wg_live_" + "x" * 40, stage.keys["expired"]):
        with refused(UnauthorizedError, status=401, code="UNAUTHORIZED"):
            stage.connect(secret).wallets.list()
    with refused(PermissionDeniedError, status=403, code="PERMISSION_DENIED") as refusal:
        stage.client_of("elsewhere").wallets.list()
    assert "address" in refusal.error.message


def too_many_calls_are_refused(stage):
    client = stage.client_of("slow")
    with refused(RateLimitExceededError, status=429, code="RATE_LIMIT_EXCEEDED"):
        for _ in range(40):  # of a plan with 10 a minute
            client.organizations.update()
    response = stage.post("/wallets", {"name": "x"}, key="slow")
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["X-RateLimit-Limit"] == "10"
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert int(response.headers["X-RateLimit-Reset"]) > 0
    assert client.organizations.retrieve()["name"] == "Slow"  # reads are counted separately
