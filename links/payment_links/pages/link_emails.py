"""The dashboard's pages that send a link by email and print it."""

from links.payment_links.forms.link_emails import LinkEmailForm
from links.payment_links.services import link_emails, payment_links
from wallgent.environments import Environment
from wallgent.web import pages
from wallgent.web.access import dashboard


@dashboard("payment-links", GET="payments:write", POST="payments:write")
def send(request, id):
    """Send the link by email."""
    link = payment_links.access(id, actor=request.actor)
    # A link that only one address may use is sent to that address.
    recipient = link.emails[0] if len(link.emails) == 1 else ""
    sent = request.POST if request.method == "POST" else None
    form = LinkEmailForm(sent, initial={"email": recipient})
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        answer = pages.submit(
            request,
            form,
            lambda: link_emails.send(
                link, actor=request.actor, address=data["email"], message=data["message"]
            ),
            done=lambda _: pages.to(request, "payment-link", id=link.id),
            say="The link is on its way.",
        )
        if answer:
            return answer
    context = {
        "form": form,
        "link": link,
        "is_sandbox": link.environment == Environment.SANDBOX,
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "links/payment_links/send.html", context, status=status)


@dashboard("payment-links", GET="payments:write")
def sheet(request, id):
    """Show the link with its QR code on one page to print."""
    link = payment_links.access(id, actor=request.actor)
    context = {
        "link": link,
        "url": link.address_for(request.actor).url,
    }
    return pages.render(request, "links/payment_links/sheet.html", context)
