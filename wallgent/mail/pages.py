"""The test inbox: the emails that a sandbox sent within the last week."""

from django.http import Http404

from wallgent import ids
from wallgent.environments import Environment
from wallgent.mail.models import Email
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_COLUMNS = {
    "sent": Column(label="Letter", sort="pk"),
    "to": Column(label="To"),
    "status": Column(label="Status"),
}


# Emails contain links and codes that give access to money, so reading them needs payments:write.
@dashboard("mailbox", GET="payments:write")
def index(request):
    """List the emails of the last week, the latest first."""
    emails = Email.objects.visible_to(request.actor)
    context = {
        "listing": Listing(request, emails, columns=_COLUMNS, default="-sent"),
        "is_sandbox": request.actor.environment == Environment.SANDBOX,
    }
    return pages.render(request, "wallgent/mail/test_inbox.html", context)


@dashboard("mailbox", GET="payments:write")
def show(request, id):
    """Show one email as it was sent."""
    uuid = ids.parse(id, "eml")
    email = uuid and Email.objects.visible_to(request.actor).filter(pk=uuid).first()
    if not email:
        raise Http404
    return pages.render(request, "wallgent/mail/sandbox_email.html", {"email": email})
