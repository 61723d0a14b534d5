"""The dashboard page that advances the sandbox clock."""

from datetime import timedelta

from django.http import Http404

from accounts.organizations.forms.sandbox_clock import AdvanceForm
from accounts.organizations.services import organizations
from wallgent import clock
from wallgent.environments import Environment
from wallgent.web import pages, preferences
from wallgent.web.access import SETTINGS, dashboard


@dashboard(SETTINGS, GET="organizations:write", POST="organizations:write")
def advance(request):
    """Advance the sandbox clock, and return to the page that the user came from."""
    actor, back = request.actor, preferences.return_path(request)
    if actor.environment != Environment.SANDBOX:
        raise Http404
    form = AdvanceForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: organizations.advance_clock(
                actor.organization,
                actor=actor,
                by=timedelta(hours=int(form.cleaned_data["hours"])),
            ),
            done=lambda _: back,
            say="Sandbox clock advanced.",
        )
        if answer:
            return answer
    context = {"form": form, "now": clock.now(actor), "back": back}
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(
        request, "accounts/organizations/sandbox_clock.html", context, status=status
    )
