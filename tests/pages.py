"""Every page of the dashboard, with who may open it and who may send its form.

What all of them promise is tested once for each, in tests/flows/test_pages.py and, in a browser,
in tests/browser. A new page that is missing here fails there.
"""

from dataclasses import dataclass
from datetime import UTC

from django.core.mail import EmailMessage
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.organizations.models import Organization
from accounts.organizations.services import members
from links.payment_links.services import import_uploads
from tests import endpoints, world
from wallgent.mail import emails
from wallgent.mail.models import Letter

VIEWER, MEMBER, ADMIN, OWNER = ROLES = ("VIEWER", "MEMBER", "ADMIN", "OWNER")  # the least first
_PLACE = "<organization:organization>/<environment:environment>/"


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page by the name of its URL; `id` names the thing of a scene that its path holds."""

    name: str
    opened_by: str = VIEWER  # the least role that may
    sent_by: str = ""  # the least role that may send its form, if it has one
    id: str = ""

    def __str__(self):
        return self.name

    def url(self, organization: Organization, things: dict[str, str], environment="SANDBOX"):
        place = {"organization": organization.id, "environment": environment}
        return reverse(self.name, kwargs=place | ({"id": things[self.id]} if self.id else {}))

    def may_open(self, role: str) -> bool:
        return ROLES.index(role) >= ROLES.index(self.opened_by)

    def may_send(self, role: str) -> bool:
        return bool(self.sent_by) and ROLES.index(role) >= ROLES.index(self.sent_by)


def _action(name: str, role: str, id: str = "") -> Page:
    """A page that is all about its form: whoever may open it may send it."""
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
    _action("payment-link-batch", MEMBER, "batch"),
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
    Page(name="organization", sent_by=ADMIN),
]


def served() -> set[str]:
    """The names of all URLs below an organization and environment."""
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


def things_of(organization: Organization, environment: str = "SANDBOX") -> dict[str, str]:
    """Ids of things the organization has: what its pages need to be opened at all."""
    promoted = world.make_member(organization, MEMBER)
    boss = world.make_member(organization, ADMIN)
    invitation, _ = members.invite(
        actor=world.actor_for(organization, environment),
        membership=organization.memberships.get(user=boss),
        email="new@example.com",
        role=VIEWER,
    )
    actor = world.actor_for(organization, environment)
    emails.send(
        EmailMessage("Your payment", "See http://testserver/", to=["ada@example.com"]),
        organization=organization,
        environment="SANDBOX",
    )
    file = b"wallet,amount,description\nmain,5,=1+1\nmain,x,Rent\n"
    reading = import_uploads.read(file, actor=actor, zone=UTC)
    batch = import_uploads.keep(reading, actor=actor, file_name="links.csv")
    return endpoints.scene(organization, environment) | {
        "batch": batch.id,
        "letter": Letter.objects.filter(organization=organization).latest("pk").id,
        "membership": organization.memberships.get(user=promoted).id,
        "invitation": invitation.id,
    }
