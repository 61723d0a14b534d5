"""The test mailbox: what a sandbox has sent by e-mail lately."""

from django.http import Http404

from wallgent import ids
from wallgent.environments import Environment
from wallgent.mail.models import Letter
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_COLUMNS = {
    "sent": Column(label="Letter", sort="pk"),
    "to": Column(label="To"),
}


# Letters hold links and codes, and whoever has those may take money: it is for those who may pay.
@dashboard(GET="payments:write")
def index(request):
    """The letters of the last week, the latest first."""
    letters = Letter.objects.visible_to(request.actor)
    context = {
        "listing": Listing(request, letters, columns=_COLUMNS, default="-sent"),
        "is_sandbox": request.actor.environment == Environment.SANDBOX,
    }
    return pages.render(request, "wallgent/mail/test_inbox.html", context)


@dashboard(GET="payments:write")
def show(request, id):
    """One letter, as it was sent."""
    uuid = ids.parse(id, "ltr")
    letter = uuid and Letter.objects.visible_to(request.actor).filter(pk=uuid).first()
    if not letter:
        raise Http404
    return pages.render(request, "wallgent/mail/sandbox_email.html", {"letter": letter})
