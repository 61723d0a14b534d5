"""Forms of API keys."""

import ipaddress
from datetime import UTC, datetime, time, timedelta

from django import forms
from django.utils import timezone

from wallgent import clock
from wallgent.web.forms import PageForm

_MAX_LIFETIME = timedelta(days=10 * 365)
_MAX_ADDRESSES = 100

# What each permission allows, in the order and groups in which the form offers them.
PERMISSIONS = {
    "Wallets": {
        "wallets:read": "See wallets, their balances and entries",
        "wallets:write": "Create, rename, freeze and close wallets; fund them in the sandbox",
    },
    "Payments": {
        "payments:read": "See payments and payment links",
        "payments:write": "Send money, give payments back, make and cancel payment links",
    },
    "Spending policies": {
        "policies:read": "See spending policies",
        "policies:write": "Change spending policies",
    },
    "Invoices": {
        "invoices:read": "See customers, invoices and subscriptions",
        "invoices:write": "Create and change customers, invoices and subscriptions",
    },
    "Merchants": {
        "merchants:read": "See merchants",
        "merchants:write": "Create and change merchants",
    },
    "Cards": {"cards:sensitive_read": "See full card numbers"},
    "Webhooks": {
        "webhooks:read": "See webhook endpoints and deliveries",
        "webhooks:write": "Create and change webhook endpoints",
    },
    "Organization": {
        "organizations:read": "See the organization and its API keys",
        "organizations:write": "Change the organization; create and revoke API keys",
    },
}


class ApiKeyForm(PageForm):
    """Creates a key with permissions among `granted`, the actor's own."""

    name = forms.CharField(
        label="Name",
        max_length=256,
        help_text="What will use it, such as “Billing server”.",
        error_messages={"required": "Name what will use the key."},
    )
    permissions = forms.MultipleChoiceField(
        label="Permissions",
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "required": "Choose what the key may do.",
            "invalid_choice": "Your role does not let you grant %(value)s.",
        },
    )
    wallet_scope = forms.MultipleChoiceField(
        label="Only these wallets",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Choose none, and the key reaches every wallet, later ones included.",
        error_messages={"invalid_choice": "Choose among the wallets of this organization."},
    )
    allowed_ips = forms.CharField(
        label="Only from these addresses",
        required=False,
        max_length=6_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="IP addresses or networks such as 203.0.113.0/24, one a line."
        " Empty: from anywhere.",
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="The key stops working when this day ends. Empty: it works until revoked.",
    )

    refusal_fields = {
        "permissions": "permissions",
        "walletScope": "wallet_scope",
        "allowedIps": "allowed_ips",
        "expiresAt": "expires_on",
    }

    def __init__(self, *args, granted: frozenset[str], wallets: list, **options):
        super().__init__(*args, **options)
        self.fields["permissions"].choices = [
            (group, offered)
            for group, descriptions in PERMISSIONS.items()
            if (offered := [(name, text) for name, text in descriptions.items() if name in granted])
        ]
        self.fields["wallet_scope"].choices = [(wallet.id, wallet.name) for wallet in wallets]

    @property
    def permission_groups(self) -> list[dict]:
        """Return the checkboxes in groups, each with its title."""
        boxes = {box.data["value"]: box for box in self["permissions"].subwidgets}
        return [
            {"title": group, "boxes": [boxes[name] for name, _ in offered]}
            for group, offered in self.fields["permissions"].choices
            if offered
        ]

    def clean_allowed_ips(self):
        lines = self.cleaned_data["allowed_ips"].replace(",", " ").split()
        if len(lines) > _MAX_ADDRESSES:
            raise forms.ValidationError(f"Name at most {_MAX_ADDRESSES} addresses.")
        for text in lines:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise forms.ValidationError(
                    "“%(text)s” is neither an IP address nor a network.", params={"text": text[:60]}
                ) from None
        return lines

    def clean_expires_on(self):
        """Return the end of the last day in the viewer's time zone."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        now = clock.real_now()
        if day > (now + _MAX_LIFETIME).date():
            raise forms.ValidationError("Choose a day within ten years, or leave this empty.")
        if day < now.date() - timedelta(days=1):
            raise forms.ValidationError("This day is over. Choose a later one.")
        end = timezone.make_aware(datetime.combine(day + timedelta(days=1), time.min))
        if end <= now:
            raise forms.ValidationError("This day is over. Choose a later one.")
        return end.astimezone(UTC)


class RevokeForm(PageForm):
    """Confirms that a key is revoked."""
