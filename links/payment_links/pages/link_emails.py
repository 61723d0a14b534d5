"""A link on its way to people: by e-mail, and on paper."""

from links.payment_links.forms.link_emails import LetterForm
from links.payment_links.models import PaymentLink
from links.payment_links.services import link_emails, payment_links
from wallgent.environments import Environment
from wallgent.web import pages
from wallgent.web.access import dashboard


@dashboard(GET="payments:write", POST="payments:write")
def send(request, id):
    """The link in a letter."""
    link = payment_links.access(id, actor=request.actor)
    # Where only one person may use it, that is who gets it.
    known = link.emails[0] if len(link.emails) == 1 else ""
    form = LetterForm(request.POST if request.method == "POST" else None, initial={"email": known})
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        answer = pages.submit(
            request,
            form,
            lambda: link_emails.send(
                link, actor=request.actor, address=said["email"], message=said["message"]
            ),
            done=lambda _: pages.to(request, "payment-link", id=link.id),
            say="The link is on its way.",
        )
        if answer:
            return answer
    context = {
        "form": form,
        "link": link,
        "is_open": is_open(link),
        "is_sandbox": link.environment == Environment.SANDBOX,
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "links/payment_links/send.html", context, status=status)


@dashboard(GET="payments:write")
def sheet(request, id):
    """The link on one sheet of paper, with a code to scan."""
    link = payment_links.access(id, actor=request.actor)
    context = {
        "link": link,
        "url": link.address_for(request.actor).url,
        "is_open": is_open(link),
    }
    return pages.render(request, "links/payment_links/sheet.html", context)


def is_open(link: PaymentLink) -> bool:
    """Whether somebody who opens the link can still use it."""
    return link.status == PaymentLink.Status.ACTIVE and not link.is_past_expiry
