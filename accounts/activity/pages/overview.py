"""The first page of the dashboard: how much there is, what came and went, what happened last."""

from django.conf import settings
from django.utils import timezone

from accounts.activity import overview
from wallgent.environments import Environment
from wallgent.events import descriptions
from wallgent.events.models import Event
from wallgent.web import charts, pages
from wallgent.web.access import dashboard

LATEST = 10


@dashboard(GET="wallets:read")
def show(request):
    """The organization at a glance, in the environment one looks at."""
    actor = request.actor
    glance = overview.at_a_glance(actor=actor, zone=timezone.get_current_timezone())
    # Who signed in when is for the audit log; here it would bury what happened to the money.
    latest = Event.objects.visible_to(actor).exclude(type__startswith="user.")[:LATEST]
    is_locked = overview.is_locked(actor)
    context = {
        "glance": glance,
        "days": overview.DAYS,
        "charts": [charts.bars(moved.days, moved.currency) for moved in glance.movements],
        "is_locked": is_locked,
        "may_send": actor.may("payments:write") and not is_locked,
        "happenings": descriptions.happenings(latest, actor=actor),
    }
    if actor.environment == Environment.SANDBOX and actor.may("wallets:write"):
        context |= _first_steps(actor)
    return pages.render(request, "accounts/activity/overview.html", context)


def _first_steps(actor) -> dict:
    steps = overview.first_steps(actor=actor)
    curl = f"curl {settings.PUBLIC_ORIGIN}/v1/wallets -H 'Authorization: Bearer wg_test_…'"
    return {
        "steps": steps,
        "may_make_keys": actor.may("organizations:write"),
        "wallet_to_fund": overview.wallet_to_fund(actor=actor) if not steps.has_money else None,
        "curl": curl,
    }
