"""One site and one Chromium for all tests in a browser; each test visits it anew."""

import os
from contextlib import ExitStack
from functools import partial

import pytest

from tests import stack as stacks

try:
    from playwright.sync_api import sync_playwright

    from tests import browser as browsers
except ImportError:  # `make test` installs it; a bare pytest may do without
    sync_playwright = browsers = None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def chromium():
    """Chromium, without a window. In CI it has to be there; elsewhere its tests are skipped.

    It ends with the tests of this folder: while its driver runs, Django takes this thread for one
    that must not wait for a database.
    """
    if not (browsers and browsers.executable()):
        if os.environ.get("CI"):
            pytest.fail("There is no Chromium to test the pages in.")
        pytest.skip("no Chromium: the pages were not tested in a browser")
    with sync_playwright() as playwright:
        browser = browsers.launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def site(chromium, tmp_path_factory):
    """All of Wallgent as `make run` starts it, with a database of its own."""
    with stacks.on_test_servers(tmp_path_factory.mktemp("site"), "browser") as stack:
        stack.start("worker", "beat", "web")
        stack.wait_until_ready()
        yield stack
        stack.assert_running()


@pytest.fixture(scope="package")
def home(site):
    """An organization with some of everything, and its owner's session."""
    return site.call("full_organization")


@pytest.fixture
def visit(chromium, site):
    """`visit(scripts=False, dark=True, screen=PHONE)`: the browser of one more person."""
    with ExitStack() as open_visits:
        start = partial(browsers.visit, chromium, site.origin)
        yield lambda **options: open_visits.enter_context(start(**options))
