"""Every page of the dashboard, with the lowest role that may open it or send its form.

Rules for all pages are tested in tests/flows/test_pages.py and, in a browser, in tests/browser. A
new page that is missing here fails there.
"""

from dataclasses import dataclass

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.organizations.models import Organization
from accounts.organizations.services import members
from tests import endpoints, world
from tests.importing import store
from wallgent.mail import emails
from wallgent.mail.models import Email

VIEWER, MEMBER, ADMIN, OWNER = ROLES = ("VIEWER", "MEMBER", "ADMIN", "OWNER")  # lowest first
_PLACE = "<organization:organization>/<environment:environment>/"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page by its URL name. `id` is the key in `object_ids` of the object in its path."""

    name: str
    opened_by: str = VIEWER  # the lowest role that may open it
    sent_by: str = ""  # the lowest role that may send its form, if it has one
    id: str = ""

    def __str__(self):
        return self.name

    def url(self, organization: Organization, ids: dict[str, str], environment="SANDBOX"):
        place = {"organization": organization.id, "environment": environment}
        return reverse(self.name, kwargs=place | ({"id": ids[self.id]} if self.id else {}))

    def may_open(self, role: str) -> bool:
        return ROLES.index(role) >= ROLES.index(self.opened_by)

    def may_send(self, role: str) -> bool:
        return bool(self.sent_by) and ROLES.index(role) >= ROLES.index(self.sent_by)


def _action(name: str, role: str, id: str = "") -> Page:
    """Return a page with a form that every role that opens it may send."""
    return Page(name=name, opened_by=role, sent_by=role, id=id)


PAGES = [
    Page(name="overview"),
    Page(name="wallets"),
    _action("wallet-new", MEMBER),
    Page(name="wallet", id="wallet"),
    *(
        _action(f"wallet-{verb}", MEMBER, "wallet")
        for verb in ("edit", "fund", "freeze", "unfreeze", "close")
    ),
    Page(name="payments"),
    _action("payment-new", MEMBER),
    Page(name="payment", id="payment"),
    _action("payment-reverse", MEMBER, "payment"),
    Page(name="approvals"),
    Page(name="approval", id="approval"),
    _action("approval-approve", MEMBER, "approval"),
    _action("approval-reject", MEMBER, "approval"),
    Page(name="payment-links"),
    _action("payment-link-new", MEMBER),
    Page(name="payment-link", id="link"),
    _action("payment-link-cancel", MEMBER, "link"),
    _action("payment-link-send", MEMBER, "link"),
    Page(name="payment-link-print", opened_by=MEMBER, id="link"),
    Page(name="payment-link-settings", sent_by=ADMIN),
    _action("payment-link-bulk", MEMBER),
    _action("payment-link-batch", MEMBER, "file"),
    Page(name="api-keys"),
    _action("api-key-new", ADMIN),
    Page(name="api-key", id="key"),
    _action("api-key-revoke", ADMIN, "key"),
    Page(name="members"),
    _action("member-invite", ADMIN),
    _action("member-role", ADMIN, "membership"),
    _action("member-remove", ADMIN, "membership"),
    _action("member-invitation-revoke", ADMIN, "invitation"),
    _action("member-leave", VIEWER),
    Page(name="mailbox", opened_by=MEMBER),
    Page(name="mailbox-letter", opened_by=MEMBER, id="letter"),
    _action("sandbox-clock", ADMIN),
    Page(name="organization", sent_by=ADMIN),
]


def served() -> set[str]:
    """Return the names of all URLs below an organization and environment."""
    found = set()

    def walk(patterns, inside):
        for pattern in patterns:
            here = inside or str(pattern.pattern) == _PLACE
            if isinstance(pattern, URLResolver):
                walk(pattern.url_patterns, here)
            elif isinstance(pattern, URLPattern) and here:
                found.add(pattern.name)

    walk(get_resolver().url_patterns, False)
    return found


def object_ids(organization: Organization, environment: str = "SANDBOX") -> dict[str, str]:
    """Create one object for each kind of page, and return their IDs by name."""
    promoted = world.make_member(organization, MEMBER)
    admin = world.make_member(organization, ADMIN)
    invitation, _ = members.invite(
        actor=world.actor_for(organization, environment),
        membership=organization.memberships.get(user=admin),
        email="new@example.com",
        role=VIEWER,
    )
    actor = world.actor_for(organization, environment)
    email = emails.queue(
        Email.Kind.RECEIPT,
        to="ada@example.com",
        subject="Your payment",
        text="See http://testserver/",
        organization=organization,
        environment="SANDBOX",
    )
    file = store(actor, "wallet,amount,description\nmain,5,=1+1\nmain,x,Rent\n")
    return endpoints.scene(organization, environment) | {
        "file": file.id,
        "letter": email.id,
        "membership": organization.memberships.get(user=promoted).id,
        "invitation": invitation.id,
    }
