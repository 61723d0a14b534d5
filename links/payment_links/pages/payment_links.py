"""Dashboard pages that list, create, show and cancel payment links."""

from functools import partial

from accounts.organizations.models import LinkDirection
from links.payment_links.forms.payment_links import (
    DESCRIPTION_LENGTH,
    CancelForm,
    LinkFilters,
    LinkForm,
    duplicate_values,
)
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.pages import claims
from links.payment_links.services import methods, payment_links
from wallgent import public_origin
from wallgent.api.json import MetadataEncoder
from wallgent.events import timeline
from wallgent.events.models import Event
from wallgent.mail.models import Email
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_EVENTS_SHOWN = 50
_EMAILS_SHOWN = 10
_METADATA_SHOWN = 50
_TEXT = MetadataEncoder(ensure_ascii=False)
_SLUG_SHOWN = 4  # of a link whose address is not shown

_COLUMNS = {
    "created": Column(label="Link", sort="pk"),  # in the order of creation
    "direction": Column(label="Direction", sort="direction"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
    "status": Column(label="Status", sort="status"),
    "wallet": Column(label="Wallet"),
    "uses": Column(label="Uses", sort="use_count", numeric=True),
    "expires": Column(label="Expires", sort="expires_at"),
}


@dashboard("payment-links", GET="payments:read")
def index(request):
    """List the organization's payment links."""
    links = payment_links.visible_to(request.actor).select_related("organization", "wallet")
    listing = Listing(
        request,
        links,
        columns=_COLUMNS,
        default="-created",
        filters=partial(LinkFilters, actor=request.actor),
    )
    context = {"listing": listing, "may_change": _may_change(request.actor)}
    return pages.render(request, "links/payment_links/index.html", context)


def _may_change(actor) -> bool:
    """Whether buttons are shown. Each action checks its permission again."""
    return actor.may("payments:write") and not actor.is_locked


@dashboard("payment-links", GET="payments:write", POST="payments:write")
def new(request):
    """Create a link. A SEND link is reviewed first, because it holds money."""
    is_review = "review" in request.GET
    draft = pages.draft(request, request.GET.get("review") or request.GET.get("draft", ""))
    data = request.POST if request.method == "POST" else draft
    initial = {"wallet": request.GET.get("wallet", "")}
    if original := request.GET.get("like"):
        initial = duplicate_values(payment_links.access(original, actor=request.actor))
    form = LinkForm(data, actor=request.actor, initial=initial)
    context = {
        "form": form,
        "description_length": DESCRIPTION_LENGTH,
        "is_locked": request.actor.is_locked,
        "methods": form.methods,
        "is_restricted": any((data or initial).get(name) for name in ("emails", "wallet_ids")),
    }
    if request.method != "POST":
        template = (
            "links/payment_links/review.html"
            if is_review and form.is_valid()
            else "links/payment_links/new.html"
        )
        return pages.render(request, template, context)
    if form.is_valid():
        if form.sends and request.POST.get("step") != "create":
            return pages.save_draft(request, form)
        answer = pages.submit(
            request,
            form,
            partial(_create, request.actor, form),
            done=lambda link: pages.to(request, "payment-link", id=link.id),
            say="The link is ready.",
        )
        if answer:
            return answer
    return pages.render(
        request, "links/payment_links/new.html", context, status=pages.UNPROCESSABLE
    )


def _create(actor, form: LinkForm) -> PaymentLink:
    values = form.cleaned_data
    return payment_links.create(
        actor=actor,
        wallet=form.chosen_wallet,
        amount=values["amount"],
        direction=values["direction"],
        description=values["description"],
        restrictions=form.restrictions,
        expires_at=form.expiry,
        max_uses=values["max_uses"],
    )


@dashboard("payment-links", GET="payments:read")
def detail(request, id):
    """Show a link: its address, money, claims and timeline."""
    link = payment_links.access(id, actor=request.actor)
    may_share = request.actor.may("payments:write")
    events = Event.objects.visible_to(request.actor).filter(subject=link.id)[:_EVENTS_SHOWN]
    return pages.render(
        request,
        "links/payment_links/detail.html",
        {
            "link": link,
            # Only users who may pay can share links, of either direction.
            "url": link.address_for(request.actor).url if may_share else "",
            "short_url": public_origin.url(f"/pay/{link.slug[:_SLUG_SHOWN]}…"),
            "may_change": _may_change(request.actor),
            "held": _held(link),
            "metadata": _metadata(link),
            "total": link.amount * link.max_uses,
            "methods": ", ".join(methods.labels(link)),
            "claims": claims.rows(link),
            "emails": Email.objects.about(link.id).filter(kind=Email.Kind.LINK)[:_EMAILS_SHOWN],
            "events": timeline.activities(list(events)[::-1], actor=request.actor),
        },
    )


def _metadata(link: PaymentLink) -> list[tuple[str, str]]:
    """The link's metadata from the API or an import, as names and texts."""
    items = list((link.metadata or {}).items())[:_METADATA_SHOWN]
    return [
        (name, value if isinstance(value, str) else _TEXT.encode(value)) for name, value in items
    ]


@dashboard("payment-links", GET="payments:write", POST="payments:write")
def cancel(request, id):
    """Cancel a link, after showing what happens to its money."""
    link = payment_links.access(id, actor=request.actor)
    form = CancelForm(request.POST if request.method == "POST" else None)
    status = 200
    if request.method == "POST":
        status = pages.UNPROCESSABLE
        if form.is_valid():
            answer = pages.submit(
                request,
                form,
                lambda: payment_links.cancel(link, actor=request.actor),
                done=lambda link: pages.to(request, "payment-link", id=link.id),
                say="The link is cancelled.",
            )
            if answer:
                return answer
    context = {
        "form": form,
        "link": link,
        "released": link.unclaimed if link.direction == LinkDirection.SEND else None,
        "under_way": len(claims.under_way(claims.rows(link))),
        "pay_requests": link.claims.filter(status=Claim.Status.PENDING_APPROVAL).count(),
    }
    return pages.render(request, "links/payment_links/cancel.html", context, status=status)


def _held(link: PaymentLink):
    """The amount still held for a SEND link; None for a RECEIVE link."""
    return link.hold.remaining if link.direction == LinkDirection.SEND else None
