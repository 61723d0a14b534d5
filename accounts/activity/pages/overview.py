"""The first page of the dashboard: balances, money in and out, latest activity."""

from django.conf import settings
from django.utils import timezone

from accounts.activity import overview
from wallgent.environments import Environment
from wallgent.events import timeline
from wallgent.events.models import Event
from wallgent.web import charts, pages
from wallgent.web.access import dashboard

LATEST = 10


@dashboard("overview", GET="wallets:read")
def show(request):
    """Show the overview of the organization in the current environment."""
    actor = request.actor
    numbers = overview.load(actor=actor, zone=timezone.get_current_timezone())
    # Sign-ins are left out: they would hide what happened to the money. The audit log has them.
    latest = Event.objects.visible_to(actor).exclude(type__startswith="user.")[:LATEST]
    is_locked = actor.is_locked
    context = {
        "overview": numbers,
        "days": overview.DAYS,
        "charts": [charts.bars(days, currency) for currency, days in numbers.daily_flows.items()],
        "is_locked": is_locked,
        "may_send": actor.may("payments:write") and not is_locked,
        "activities": timeline.activities(latest, actor=actor),
    }
    if actor.environment == Environment.SANDBOX and actor.may("wallets:write"):
        context |= _first_steps(actor)
    return pages.render(request, "accounts/activity/overview.html", context)


def _first_steps(actor) -> dict:
    steps = overview.first_steps(actor=actor)
    curl = f"curl {settings.PUBLIC_ORIGIN}/v1/wallets -H 'Authorization: Bearer wg_test_…'"
    return {
        "steps": steps,
        "may_create_keys": actor.may("organizations:write"),
        "wallet_to_fund": overview.wallet_to_fund(actor=actor) if not steps.has_money else None,
        "curl": curl,
    }
