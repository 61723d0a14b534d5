"""Payment links in the dashboard: the list, a new one, its page, its end."""

from functools import partial

from accounts.activity import overview
from accounts.organizations.models import LinkDirection
from links.payment_links.forms.payment_links import (
    DESCRIPTION_LENGTH,
    CancelForm,
    LinkFilters,
    LinkForm,
    like,
)
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.pages import claims
from links.payment_links.pages.link_emails import is_open
from links.payment_links.services import methods, payment_links
from wallgent import public_origin
from wallgent.api.json import MetadataEncoder
from wallgent.events import descriptions
from wallgent.events.models import Event
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_SHOWN = 50  # facts on a link's page
_METADATA_SHOWN = 50
_TEXT = MetadataEncoder(ensure_ascii=False)
_SLUG_SHOWN = 4  # of a link that one may not hand on

_COLUMNS = {
    "created": Column(label="Link", sort="pk"),  # in the order they were made
    "direction": Column(label="Direction", sort="direction"),
    "amount": Column(label="Amount", sort="amount", numeric=True),
    "status": Column(label="Status", sort="status"),
    "wallet": Column(label="Wallet"),
    "uses": Column(label="Uses", sort="use_count", numeric=True),
    "expires": Column(label="Expires", sort="expires_at"),
}


@dashboard(GET="payments:read")
def index(request):
    """All links of the organization."""
    links = payment_links.visible_to(request.actor).select_related("wallet")
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
    """Whether buttons are offered. What is sent is judged anew."""
    return actor.may("payments:write") and not overview.is_locked(actor)


@dashboard(GET="payments:write", POST="payments:write")
def new(request):
    """A new link; one that sends is looked at once more, because it sets money aside."""
    is_review = "review" in request.GET
    kept = pages.draft(request, request.GET.get("review") or request.GET.get("draft", ""))
    said = request.POST if request.method == "POST" else kept
    asked = {"wallet": request.GET.get("wallet", "")}
    if original := request.GET.get("like"):
        asked = like(payment_links.access(original, actor=request.actor))
    form = LinkForm(said, actor=request.actor, initial=asked)
    context = {
        "form": form,
        "description_length": DESCRIPTION_LENGTH,
        "is_locked": overview.is_locked(request.actor),
        "methods": form.methods,
        "is_restricted": any((said or asked).get(name) for name in ("emails", "wallet_ids")),
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
            return pages.keep_draft(request, form)
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
    said = form.cleaned_data
    return payment_links.create(
        actor=actor,
        wallet=form.chosen_wallet,
        amount=said["amount"],
        direction=said["direction"],
        description=said["description"],
        restrictions=form.restrictions,
        expires_at=form.expiry,
        max_uses=said["max_uses"],
    )


@dashboard(GET="payments:read")
def detail(request, id):
    """One link: its address, its money, who used it, what happened to it."""
    link = payment_links.access(id, actor=request.actor)
    may_hand_on = request.actor.may("payments:write")
    events = Event.objects.visible_to(request.actor).filter(subject=link.id)[:_SHOWN]
    return pages.render(
        request,
        "links/payment_links/detail.html",
        {
            "link": link,
            # Only those who may pay hand links on, of either direction.
            "url": link.address_for(request.actor).url if may_hand_on else "",
            "short_url": public_origin.url(f"/pay/{link.slug[:_SLUG_SHOWN]}…"),
            "may_change": _may_change(request.actor),
            "is_open": is_open(link),
            "held": _held(link),
            "metadata": _metadata(link),
            "total": link.amount * link.max_uses,
            "methods": ", ".join(methods.labels(link)),
            "claims": claims.of(link),
            "facts": _timeline(list(events), request.actor),
        },
    )


def _metadata(link: PaymentLink) -> list[tuple[str, str]]:
    """What programs and files keep with the link, as words."""
    kept = list((link.metadata or {}).items())[:_METADATA_SHOWN]
    return [
        (name, value if isinstance(value, str) else _TEXT.encode(value)) for name, value in kept
    ]


def _timeline(events, actor) -> list[dict]:
    told = descriptions.happenings(reversed(events), actor=actor)  # the oldest first
    return [
        {"title": one.sentence, "at": one.at, "who": one.who, "icon": one.icon, "tone": one.tone}
        for one in told
    ]


@dashboard(GET="payments:write", POST="payments:write")
def cancel(request, id):
    """The end of a link, after saying what happens to its money."""
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
        "is_open": is_open(link),
        "free": link.unclaimed if link.direction == LinkDirection.SEND else None,
        "under_way": len(claims.under_way(claims.of(link))),
        "asked": link.claims.filter(status=Claim.Status.PENDING_APPROVAL).count(),
    }
    return pages.render(request, "links/payment_links/cancel.html", context, status=status)


def _held(link: PaymentLink):
    """What is still set aside for the link; None for one that sets nothing aside."""
    return link.hold.remaining if link.direction == LinkDirection.SEND else None
