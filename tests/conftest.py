"""The cast: two organizations that do not know each other, their wallets and their keys."""

import os

import pytest
from django.db import connection
from hypothesis import HealthCheck, settings

from tests import engines

pytest.register_assert_rewrite("tests.world")  # before it is imported: to show what differs

from tests import world  # noqa: E402

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
    """Say it where nobody overlooks it when the pages were not looked at."""
    skipped = terminalreporter.stats.get("skipped", [])
    if any("no Chromium" in str(report.longrepr) for report in skipped):
        terminalreporter.section("NOT TESTED: the pages in a browser", red=True, bold=True)
        terminalreporter.line("Install Chromium (Debian: apt-get install chromium), run it again.")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """Each process of the run copies its database instead of making it."""
    connection.settings_dict["TEST"]["TEMPLATE"] = engines.migrated()


@pytest.fixture(autouse=True)
def _books_balance(request):
    """After every test that uses the database, the whole book is added up again."""
    uses_database = "db" in request.fixturenames or request.node.get_closest_marker("django_db")
    if uses_database:
        request.getfixturevalue("db")  # so that it is still there when this one ends
    yield
    if uses_database:
        world.assert_books_balance()


@pytest.fixture(autouse=True)
def _fresh_rates():
    world.forget_rates()


@pytest.fixture
def acme(db):
    """The organization most tests act for."""
    return world.make_organization("Acme")


@pytest.fixture
def globex(db):
    """A stranger."""
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
    """A wallet of the stranger's, to be paid."""
    return world.make_wallet(globex, "Shop")


@pytest.fixture
def savings(acme):
    """Acme's second wallet."""
    return world.make_wallet(acme, "Savings")


@pytest.fixture
def live_wallet(acme):
    """A wallet of Acme's in production."""
    return world.make_wallet(acme, "Live wallet", environment="PRODUCTION")
