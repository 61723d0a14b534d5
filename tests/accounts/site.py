"""The dashboard in a browser, for tests of its pages and forms."""

from decimal import Decimal

from accounts.organizations.models import Organization
from tests import world
from wallgent import ids
from wallgent.web.templatetags import wallgent


class Site:
    """The pages of an environment, in the browser of a new member with a role."""

    def __init__(self, organization: Organization, role: str, environment: str = "sandbox"):
        self.root = f"/{organization.id}/{environment}"
        self.user = world.make_member(organization, role)
        self.browser = world.browser(self.user)

    def get(self, path: str = "/", **query):
        return self.browser.get(self.root + path, query)

    def html(self, path: str = "/", **query) -> str:
        response = self.get(path, **query)
        assert response.status_code == 200, response.content
        return response.content.decode()

    def send(self, path: str, **fields):
        """Send a form with a new `submission` key, unless one is given."""
        return self.browser.post(self.root + path, {"submission": ids.new("sub")} | fields)


def names_in(html: str, *names: str) -> list[str]:
    """Return the given names that the page shows, in its order."""
    return sorted((name for name in names if name in html), key=html.index)


def printed(amount: str, currency: str = "USD") -> str:
    """Return an amount as pages show it."""
    return str(wallgent.money(Decimal(amount), currency))
