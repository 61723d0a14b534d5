"""Organization names for plain text, where nothing separates a name from the text after it."""

from accounts.organizations.models import Organization
from wallgent.mail import plain_text


def plain(organization: Organization) -> str:
    """Return the name in one line, without direction marks."""
    return plain_text.one_line(organization.name)


def in_email(organization: Organization) -> str:
    """Return the name for an email, or "" if a mail program would turn part of it into a link."""
    return plain_text.without_links(organization.name)
