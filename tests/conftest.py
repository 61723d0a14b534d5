"""Shared fixtures: two unrelated organizations, their wallets and API clients."""

import os

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings

from tests import engines

# Before its import, so that its failed asserts show the difference.
pytest.register_assert_rewrite("tests.world")

from tests import described, emailing, world  # noqa: E402


@pytest.fixture(autouse=True, scope="session")
def _check_responses():
    described.install()


@pytest.fixture(autouse=True)
def _responses_are_described():
    """Compare every response of the API with the OpenAPI document."""
    described.undescribed.clear()
    yield
    assert described.undescribed == []


settings.register_profile(
    "quick",
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "soak", max_examples=1_000, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def pytest_terminal_summary(terminalreporter):
    """Show a visible notice when the browser tests were skipped."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("no Chromium" in str(report.longrepr) for report in skipped):
        terminalreporter.section("NOT TESTED: the pages in a browser", red=True, bold=True)
        terminalreporter.line("Install Chromium (Debian: apt-get install chromium), run it again.")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """Let each test process copy the migrated database instead of creating its own."""
    connection.settings_dict["TEST"]["TEMPLATE"] = engines.migrated_template()


@pytest.fixture(autouse=True)
def _books_balance(request):
    """Check the whole ledger after every test that uses the database."""
    uses_database = "db" in request.fixturenames or request.node.get_closest_marker("django_db")
    if uses_database:
        request.getfixturevalue("db")  # so that the database outlives this fixture
    yield
    if uses_database:
        world.assert_books_balance()


@pytest.fixture(autouse=True)
def _reset_rate_limits():
    world.reset_rate_limits()


@pytest.fixture
def mailoutbox():
    """The emails that the worker has sent when a test looks at them."""
    return emailing.Outbox()


@pytest.fixture
def acme(db):
    """The organization that most tests act for."""
    return world.make_organization("Acme")


@pytest.fixture
def globex(db):
    """An unrelated organization."""
    return world.make_organization("Globex")


@pytest.fixture
def api(acme):
    """A client with Acme's sandbox key and every permission."""
    return world.Client(world.make_key(acme))


@pytest.fixture
def live_api(acme):
    """A client with Acme's production key."""
    return world.Client(world.make_key(acme, environment="PRODUCTION"))


@pytest.fixture
def stranger(globex):
    """A client with Globex's sandbox key."""
    return world.Client(world.make_key(globex))


@pytest.fixture
def wallet(acme):
    return world.make_wallet(acme, "Research agent")


@pytest.fixture
def shop(globex):
    """A wallet of Globex, as the recipient of payments."""
    return world.make_wallet(globex, "Shop")


@pytest.fixture
def savings(acme):
    """Acme's second wallet."""
    return world.make_wallet(acme, "Savings")


@pytest.fixture
def live_wallet(acme):
    """Acme's production wallet."""
    return world.make_wallet(acme, "Live wallet", environment="PRODUCTION")
