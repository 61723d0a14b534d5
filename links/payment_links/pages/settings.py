"""The settings page of payment links."""

from links.payment_links.forms.settings import LinkSettingsForm
from links.payment_links.services import settings
from wallgent.environments import Environment
from wallgent.web import pages
from wallgent.web.access import dashboard

_LEADS = {
    Environment.SANDBOX: "In the sandbox. Exchange is on at first here, off in production.",
    Environment.PRODUCTION: "In production. Exchange is off at first here, on in the sandbox.",
}


@dashboard("organization", GET="organizations:read", POST="organizations:write")
def show(request):
    """Show or change the settings of all links in one environment."""
    organization, environment = request.actor.organization, request.actor.environment
    converts = settings.converts_currencies(organization, environment)
    form = LinkSettingsForm(
        request.POST if request.method == "POST" else None,
        initial={"converts_currencies": converts},
    )
    if form.is_valid():
        allowed = form.cleaned_data["converts_currencies"]
        answer = pages.submit(
            request,
            form,
            lambda: settings.set_conversion(organization, actor=request.actor, allowed=allowed),
            done=lambda _: pages.to(request, "payment-link-settings"),
            say="Saved.",
        )
        if answer:
            return answer
    context = {
        "form": form,
        "converts": converts,
        "lead": _LEADS[Environment(environment)],
        "may_change": request.actor.may("organizations:write"),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "links/payment_links/settings.html", context, status=status)
