"""The public page of a payment link, /pay/<slug>: no account needed, no script needed.

The slug is a secret that whoever got the link knows. What a visitor has typed on the way, and
the right to see the receipt, is kept in their session; a GET changes nothing.
"""

from functools import wraps

from django.core import signing
from django.db import transaction
from django.http import Http404, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from accounts.models import LinkDirection, Wallet
from links.errors import PaymentLinkNotFound
from links.forms.hosted import ClaimForm, EmailForm, WalletForm
from links.models import Claim, PaymentLink
from links.services import claims, payment_links
from wallgent import faults, pages, runner
from wallgent.api import throttling
from wallgent.api.client_ip import client_ip
from wallgent.errors import DomainError, NotAvailable, RateLimitExceeded
from wallgent.forms import PageForm

# A minute, of one address and link: an office may share the address.
READS = 600
WRITES = 60
ADDRESSES_TYPED = 20  # guessing who a link is for
UNKNOWN = 60  # of one address, over all slugs that lead nowhere

_SESSION = "pay"
_REMEMBERED = 20  # links that a session knows something about
_OWN_WALLETS = 50  # that a visitor may choose from

_NOT_FOUND = (
    "This link leads nowhere",
    "Check that the whole address was copied, or ask whoever sent it to you.",
)
_RECEIPT = signing.Signer(salt="links.receipt")


def hosted(*methods: str):
    """Make `view(request, link)` a public page of a link: found, throttled, and kept nowhere."""

    def decorate(view):
        @wraps(view)
        def page(request, slug, **path):
            if request.method not in (*methods, "HEAD"):
                return HttpResponseNotAllowed([*methods, "HEAD"])
            try:
                link = _find(request, slug)
                response = view(request, link, **path)
            except (PaymentLinkNotFound, Http404):
                response = faults.page(request, 404, _NOT_FOUND)
            except RateLimitExceeded as error:
                response = faults.page(request, 429)
                response.headers["Retry-After"] = error.headers["Retry-After"]
            add_never_cache_headers(response)
            response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
            response.headers["Referrer-Policy"] = "no-referrer"
            return response

        return page

    return decorate


def _find(request, slug: str) -> PaymentLink:
    ip = client_ip(request)
    try:
        link = payment_links.find_by_slug(slug)
    except PaymentLinkNotFound:
        throttling.check(subject=f"pay:unknown:{ip}", limit=UNKNOWN)
        raise
    kind, limit = ("w", WRITES) if request.method == "POST" else ("r", READS)
    throttling.check(subject=f"pay:{kind}:{ip}:{link.id}", limit=limit)
    return link


# The way to the money: whose address it is, where it goes, a last look, the receipt.


@hosted("GET", "POST")
def pay(request, link):
    """What the link promises, and the next thing it needs to know of the visitor."""
    state = _state(request, link)
    form = None
    if state in ("email", "wallet"):
        form = _form(request, link, state)
        if request.method == "POST" and form.is_valid():
            answer = _note(request, link, state, form)
            if answer:
                return answer
    elif request.method == "POST":
        return HttpResponseRedirect(_path("pay", link))  # it says what has become of the link
    return _show(request, link, state, form)


def _state(request, link: PaymentLink) -> str:
    """Which of its faces the page shows to this visitor."""
    if _remembered(request, link).get("claim"):
        return "done"
    status = payment_links.public_view(link).status
    if status != PaymentLink.Status.ACTIVE:
        return {"EXPIRED": "expired", "CANCELLED": "cancelled"}.get(status, "used")
    if link.direction != LinkDirection.SEND:
        return "email" if not _is_known(request, link) else "receive"
    if link.wallet.status != Wallet.Status.ACTIVE:
        return "unavailable"
    return "wallet" if _is_known(request, link) else "email"


def _is_known(request, link: PaymentLink) -> bool:
    return claims.admits(link, _remembered(request, link).get("email", ""))


def _form(request, link: PaymentLink, state: str) -> PageForm:
    # A form of another step, sent from an old tab, is not an answer to this one.
    sent = request.POST if request.POST.get("step") == state else None
    if state == "email":
        return EmailForm(sent)
    return WalletForm(
        sent,
        wallets=_own_wallets(request, link),
        initial={"wallet_id": _remembered(request, link).get("wallet", "")},
    )


def _note(request, link: PaymentLink, state: str, form):
    """Keep what the visitor said and lead on; None when the form says why it is refused."""
    if state == "email":
        throttling.check(subject=f"pay:email:{client_ip(request)}:{link.id}", limit=ADDRESSES_TYPED)
        email = form.cleaned_data["email"]
        if not claims.admits(link, email):
            form.add_error(
                "email",
                "This payment was sent to another address. Look at the message you got it with, or"
                " ask whoever sent it.",
            )
            return None
        _remember(request, link, email=email)
        return _see("pay", link)
    try:
        _try(request, link, form.chosen_id)
    except DomainError as error:
        form.refuse(error)
        return None
    _remember(request, link, wallet=form.chosen_id)
    return _see("pay-review", link)


def _try(request, link: PaymentLink, wallet_id: str) -> None:
    """Everything that a claim checks, by the claim itself: it is done in full, and taken back."""

    def tried():
        _claim(request, link, wallet_id)
        transaction.set_rollback(True)

    runner.run(tried, actor=_actor(request, link))


def _claim(request, link: PaymentLink, wallet_id: str) -> Claim:
    if link.direction != LinkDirection.SEND:
        raise NotAvailable("Paying by this page is not available on this server yet.")
    return claims.open(
        link,
        destination=claims.payee(wallet_id, link=link),
        actor=_actor(request, link),
        recipient_email=_remembered(request, link).get("email", ""),
    )


@hosted("GET", "POST")
def review(request, link):
    """A last look at what goes where; its form is the claim."""
    if _state(request, link) == "email":
        return _see("pay", link)  # it was known, but sessions end
    form = ClaimForm(request.POST) if request.method == "POST" else None
    if form and form.is_valid():
        claimed = []

        def work():
            claimed.append(_claim(request, link, form.cleaned_data["wallet_id"]))
            return claimed[0]

        answer = pages.submit(
            request,
            form,
            work,
            done=lambda claim: _receipt_path(link, claim.id),
            actor=_actor(request, link),
        )
        if answer:
            if claimed:  # else it is a repetition, and was remembered the first time
                _remember(request, link, claim=claimed[0].id)
            return answer
        link.refresh_from_db(fields=["status"])
    wallet_id = _wallet_of(request, link, form)
    state = _state(request, link)
    if not form and (not wallet_id or state != "wallet"):
        return _see("pay", link)
    if not form:
        form = ClaimForm(initial={"wallet_id": wallet_id})
    context = {
        "wallet_id": wallet_id,
        "own": next((w for w in _own_wallets(request, link) if w.id == wallet_id), None),
    }
    return _render(request, link, "links/pay_review.html", context | {"form": form, "state": state})


def _wallet_of(request, link: PaymentLink, form) -> str:
    """The wallet in question: that of the form, which was looked at, before that of the session."""
    if form and "wallet_id" in form.cleaned_data:
        return form.cleaned_data["wallet_id"]
    return _remembered(request, link).get("wallet", "")


def _receipt_path(link: PaymentLink, claim_id: str) -> str:
    return _path("pay-receipt", link, token=_RECEIPT.sign(claim_id))


@hosted("GET")
def receipt(request, link, token):
    """What was paid, for whoever claimed it: the token is theirs."""
    try:
        claim_id = _RECEIPT.unsign(token)
    except signing.BadSignature:
        raise Http404 from None
    claim = Claim.objects.filter(pk=claim_id, link=link).first()
    if claim is None:
        raise Http404
    context = {"claim": claim, "sender": link.organization.name}
    return _render(request, link, "links/pay_receipt.html", context)


# What a page shows, and what a session remembers.


def _show(request, link: PaymentLink, state: str, form):
    claim = _remembered(request, link).get("claim")
    # One short form needs no list of what is wrong with it: one is led to the field itself.
    for name in form.errors if form else ():
        if name in form.fields:
            form.fields[name].widget.attrs["autofocus"] = True
    context = {
        "state": state,
        "form": form,
        "claimed": claim and _receipt_path(link, claim),
        "sign_in_url": f"{reverse('account_login')}?next={_path('pay', link)}",
    }
    return _render(request, link, "links/pay.html", context)


def _render(request, link: PaymentLink, template: str, context: dict):
    said = _remembered(request, link)
    is_met = claims.is_met(link, email=said.get("email", ""), wallet_id=said.get("wallet", ""))
    form = context.get("form")
    context = {
        "link": link,
        "view": payment_links.public_view(link),
        "environment": link.environment,
        # Who sends is withheld from whoever the link is not for.
        "sender": link.organization.name if is_met else None,
        "is_unverified": link.organization.production_activated_at is None,
        "path": _path("pay", link),
    } | context
    status = pages.UNPROCESSABLE if form is not None and form.errors else 200
    return render(request, template, context, status=status)


def _own_wallets(request, link: PaymentLink) -> list[Wallet]:
    """The wallets of a signed-in visitor that the link could pay to."""
    if not request.user.is_authenticated:
        return []
    wallets = Wallet.objects.filter(
        organization__memberships__user=request.user,
        environment=link.environment,
        account__currency=link.currency,
        account__state=Wallet.Status.ACTIVE,
    ).exclude(pk=link.wallet_id)
    if link.wallet_ids:
        wallets = wallets.filter(pk__in=link.wallet_ids)
    return list(wallets.order_by("organization__name", "-is_default", "name", "pk")[:_OWN_WALLETS])


def _actor(request, link: PaymentLink):
    return claims.public_actor(link, request_id=request.id)


def _remembered(request, link: PaymentLink) -> dict:
    return request.session.get(_SESSION, {}).get(link.id, {})


def _remember(request, link: PaymentLink, **said: str) -> None:
    known = request.session.get(_SESSION, {})
    this = known.pop(link.id, {}) | said
    latest = list(known.items())[1 - _REMEMBERED :]
    request.session[_SESSION] = dict([*latest, (link.id, this)])


def _path(name: str, link: PaymentLink, **path) -> str:
    return reverse(name, kwargs={"slug": link.slug} | path)


def _see(name: str, link: PaymentLink) -> HttpResponseRedirect:
    response = HttpResponseRedirect(_path(name, link))
    response.status_code = 303
    return response
