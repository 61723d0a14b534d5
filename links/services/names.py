"""Names of organizations in plain text, where nothing keeps a name apart from what follows it."""

from accounts.models import Organization

# What turns the direction of writing (Unicode, UAX 9): amounts behind it would read backwards.
_TURNS = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])


def plain(organization: Organization) -> str:
    """The name in one line, so that it writes no header and no paragraph, and turns nothing."""
    return " ".join(organization.name.translate(_TURNS).split())
