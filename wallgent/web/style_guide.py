"""The style guide: every component in each of its states. In development only."""

import datetime
from decimal import Decimal

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404
from django.shortcuts import render

from wallgent import clock, ids
from wallgent.environments import Environment
from wallgent.http import error_pages
from wallgent.web import charts
from wallgent.web.statuses import LOOKS

LONG = "The wallet of the department for procurement of extraordinarily long names " * 2
RIGHT_TO_LEFT = "محفظة الأبحاث ‏2026"
HOSTILE = "<script>alert('never')</script>"
HUGE = Decimal("999999999999.99999999")
SHELLS = ("account", "hosted")
SECTIONS = {
    "Data": (
        ("money", "Money and time", "coins"),
        ("status", "States", "circle-dot"),
        ("stats", "Figures", "scale"),
        ("chart", "Charts", "chart-column"),
        ("table", "Tables", "list"),
        ("details", "Details", "file-text"),
    ),
    "Input": (("buttons", "Buttons", "play"), ("form", "Forms", "pencil")),
    "Feedback": (
        ("notices", "Notices", "bell"),
        ("secret", "Secrets and codes", "key-round"),
        ("waiting", "Waiting", "loader"),
        ("empty", "Empty", "circle-dashed"),
    ),
    "Basics": (("icons", "Icons", "gift"),),
}


def page(request):
    """Show all components; `?shell=` shows another layout, `?fault=` an error page."""
    if not settings.DEVELOPMENT:
        raise Http404
    shell, fault = request.GET.get("shell"), request.GET.get("fault", "")
    if fault in {str(status) for status in error_pages.MESSAGES}:
        return error_pages.page(request, int(fault))
    if shell in SHELLS:
        return render(
            request,
            f"style_guide/{shell}.html",
            {"form": _wrong_form(), **_layout_context(request)},
        )
    if "toasts" in request.GET:
        messages.success(request, "The wallet was made.")
        messages.error(request, "The payment was refused: the wallet is frozen.")
    return render(request, "style_guide/page.html", _layout_context(request) | _sample_context())


def _layout_context(request) -> dict:
    production = request.GET.get("environment") == Environment.PRODUCTION
    return {
        "environment": Environment.PRODUCTION if production else Environment.SANDBOX,
        "groups": [
            (
                heading,
                [
                    {"label": label, "url": f"#{name}", "icon": icon, "current": name == "money"}
                    for name, label, icon in sections
                ],
            )
            for heading, sections in SECTIONS.items()
        ],
        "settings": [{"label": "Organization", "url": "#money"}],
        "organizations": [
            {"name": "Acme Research", "url": "#money", "current": True},
            {"name": RIGHT_TO_LEFT, "url": "#money", "current": False},
            {"name": LONG, "url": "#money", "current": False},
        ],
    }


def _sample_context() -> dict:
    now = clock.real_now()
    return {
        "now": now,
        "email": {
            "get_status_display": "Failed",
            "status_reason": "The address does not exist",
        },
        "long": LONG,
        "rtl": RIGHT_TO_LEFT,
        "hostile": HOSTILE,
        "huge": HUGE,
        "amounts": [Decimal(text) for text in ("0", "25", "0.125", "1234.5", "-80", "0.00000001")],
        "words": LOOKS,
        "icons": sorted(file.stem for file in _icon_files()),
        "chart": charts.bars(_days(now.date(), 30), "USD"),
        "chart_of_one_way": charts.bars(_days(now.date(), 30, outgoing=0), "USDC"),
        "chart_of_nothing": charts.bars(_days(now.date(), 30, 0, 0), "USD"),
        "listing": _listing(),
        "rows": _rows(now),
        "empty_listing": {"is_filtered": True, "clear_url": "#table"},
        "form": SampleForm(auto_id="sample_%s"),
        "wrong_form": _wrong_form(),
        "timeline": _timeline(now),
        "details": [("Id", ids.new("wal")), ("Name", LONG), ("Owner", RIGHT_TO_LEFT), ("Note", "")],
        "steps": ["Details", "Review", "Sent"],
        "code": 'curl -H "Authorization: Bearer wg_test_…" \\\n  http://127.0.0.1:8000/v1/wallets',
    }


def _icon_files():
    return (settings.BASE_DIR / "templates" / "icons").glob("*.svg")


def _days(last: datetime.date, count: int, incoming: int = 37, outgoing: int = 23):
    """Return sample days that look realistic and are the same each time."""
    return [
        charts.Day(
            date=last - datetime.timedelta(days=count - 1 - place),
            incoming=Decimal(place * incoming % 101 * (place % 4 != 1)) * 12,
            outgoing=Decimal(place * outgoing % 61 * (place % 5 != 2)) * 9,
        )
        for place in range(count)
    ]


def _listing() -> dict:
    return {
        "columns": [
            {"label": "Wallet", "sort_url": "?sort=name#table", "direction": "ascending"},
            {"label": "State"},
            {
                "label": "Balance",
                "numeric": True,
                "sort_url": "?sort=-b#table",
                "direction": "none",
            },
            {"label": "Made", "sort_url": "?sort=made#table", "direction": "none"},
        ],
        "filters": SampleFilters(),
        "is_filtered": True,
        "clear_url": "#table",
        "previous_url": "?page=1#table",
        "next_url": "?page=3#table",
        "page": 2,
    }


def _rows(now) -> list[dict]:
    names = ("Research agent", LONG, RIGHT_TO_LEFT, "🦊🌍 Travel", HOSTILE)
    states = ("Active", "Frozen", "Closed", "Active", "Active")
    balances = ("1250", "999999999999.99999999", "0", "-80.125", "7.5")
    return [
        {"name": name, "status": state, "balance": Decimal(balance), "made": now}
        for name, state, balance in zip(names, states, balances, strict=True)
    ]


def _timeline(now) -> list[dict]:
    hour = datetime.timedelta(hours=1)
    return [
        {
            "title": "Payment posted",
            "at": now,
            "icon": "check",
            "tone": "success",
            "who": "ann@x.org",
        },
        {"title": "Approval asked for", "at": now - hour, "icon": "clock", "tone": "warning"},
        {"title": "Payment made", "at": now - 2 * hour, "text": HOSTILE, "who": RIGHT_TO_LEFT},
    ]


class SampleFilters(forms.Form):
    """The filter of the sample table."""

    q = forms.CharField(label="Name", required=False)
    state = forms.ChoiceField(
        label="State",
        required=False,
        choices=[("", "Any"), *((s, s) for s in ("Active", "Frozen"))],
    )


class SampleForm(forms.Form):
    """A form with a field of each kind."""

    name = forms.CharField(label="Name", help_text="What people will call it.", max_length=256)
    amount = forms.CharField(
        label="Amount",
        help_text="At most 8 decimals.",
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    wallet = forms.ChoiceField(
        label="From wallet",
        choices=[("", "Choose a wallet"), ("1", "Research agent · $1,250.00")],
    )
    note = forms.CharField(label="Note", widget=forms.Textarea(attrs={"rows": 3}), required=False)
    direction = forms.ChoiceField(
        label="Direction",
        choices=[("SEND", "Send money to whoever opens it"), ("RECEIVE", "Receive money")],
        initial="SEND",
        widget=forms.RadioSelect,
    )
    permissions = forms.MultipleChoiceField(
        label="Permissions",
        help_text="What the key may do.",
        choices=[(name, name) for name in ("wallets:read", "wallets:write", "payments:read")],
        widget=forms.CheckboxSelectMultiple,
    )
    agree = forms.BooleanField(
        label="I have read what this does", help_text="It stays so for good."
    )
    locked = forms.CharField(label="Currency", initial="USD", disabled=True)


def _wrong_form() -> SampleForm:
    data = {"name": HOSTILE, "amount": "12,5", "note": RIGHT_TO_LEFT}
    form = SampleForm(data, auto_id="wrong_%s")
    form.add_error("amount", "Write an amount above zero, such as 25.00.")
    form.add_error(None, "The wallet holds too little for this.")
    return form
