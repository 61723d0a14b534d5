"""Names of organizations in plain text, where nothing keeps a name apart from what follows it."""

from accounts.organizations.models import Organization
from wallgent.mail import emails


def plain(organization: Organization) -> str:
    """The name in one line, so that it writes no header and no paragraph, and turns nothing."""
    return emails.one_line(organization.name)


def in_letter(organization: Organization) -> str:
    """The same for a letter, or "" for a name that would lead to some page."""
    return emails.without_links(organization.name)
