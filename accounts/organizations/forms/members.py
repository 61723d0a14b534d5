"""Forms of members and invitations."""

from django import forms

from accounts.organizations.models import Membership
from wallgent.web.forms import PageForm

Role = Membership.Role

ROLE_DESCRIPTIONS = {
    Role.OWNER: "Does everything, and decides about owners",
    Role.ADMIN: "Does everything, API keys and members included",
    Role.MEMBER: "Moves money and makes wallets, links and invoices",
    Role.VIEWER: "Sees everything and changes nothing",
}


class _RoleForm(PageForm):
    """Asks for one of the `roles` that the user may grant."""

    role = forms.ChoiceField(
        label="Role",
        widget=forms.RadioSelect,
        error_messages={
            "required": "Choose a role.",
            "invalid_choice": "Choose one of the roles you may give.",
        },
    )

    def __init__(self, *args, roles: list[str], **options):
        super().__init__(*args, **options)
        self.fields["role"].choices = [
            (role, f"{Role(role).label}: {ROLE_DESCRIPTIONS[role]}") for role in roles
        ]


class InviteForm(_RoleForm):
    email = forms.CharField(
        label="E-mail address",
        max_length=254,
        error_messages={"required": "Write the address of whom you invite."},
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
        help_text="We send a link there. It works for seven days, for this address only.",
    )

    field_order = ["email", "role"]


class RoleForm(_RoleForm):
    """Changes a member's role."""


class ConfirmForm(PageForm):
    """Confirms that a member leaves or is removed, or that an invitation is revoked."""
