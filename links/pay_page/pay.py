"""The public page of a payment link, /pay/<slug>: no account needed, no script needed.

Whose address it is, where the money goes or comes from, and a last look, whose form is the claim.
What became of it stands on a page of its own: hosted_claims.
"""

from contextlib import suppress

from django.db import transaction
from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from accounts.organizations.models import LinkDirection
from links.pay_page import claim_flow
from links.pay_page.access import Visit, link_page, redirect_to
from links.pay_page.forms import (
    AddressForm,
    BankForm,
    CodeForm,
    EmailForm,
    ExpectForm,
    ReviewForm,
    WalletForm,
)
from links.payment_links.errors import VerificationRequired
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    email_verification,
    methods,
    payment_links,
    rate_limits,
    restrictions,
)
from wallgent import service_runner
from wallgent.errors import DomainError, RateLimitExceeded
from wallgent.http.client_ip import client_network
from wallgent.web import pages
from wallgent.web.forms import PageForm

_Method = Claim.Method
_FORMS = {
    _Method.WALLET: WalletForm,
    _Method.ACH: BankForm,
    _Method.USDC: AddressForm,
}
# Nothing was paid: whoever made such a claim may make another.
_AGAIN = {Claim.Status.FAILED, Claim.Status.REJECTED, Claim.Status.EXPIRED}
# What came back leaves the link open only where its maker can pay once more.
_AGAIN_WHILE_OPEN = _AGAIN | {Claim.Status.RETURNED}
_DRAFT, _MANDATE = "draft", "mandate"  # what is sealed
_OVER = {"EXPIRED": "expired", "CANCELLED": "cancelled"}


@link_page("GET", "POST")
def pay(visit):
    """What the link promises, and the next thing it needs to know of the visitor."""
    state = state_of(visit)
    method = _method(visit)
    form = _form(visit, state, method)
    if visit.request.method == "POST":
        if form is None:
            return HttpResponseRedirect(visit.path())  # it says what has become of the link
        answer = _note(visit, state, form)
        if not answer and not form.errors:
            answer = (
                visit.redirect_to()
            )  # the form of another step, from an old tab or a second click
        if answer:
            return answer
    return _show(visit, state, method, form)


def state_of(visit: Visit) -> str:
    """Which of its faces the page shows to this visitor."""
    link = visit.link
    claim, status = _own_claim(visit), payment_links.public_view(link).status
    again = _AGAIN_WHILE_OPEN if status == PaymentLink.Status.ACTIVE else _AGAIN
    if claim and claim.status not in again:
        return "done"
    if status == PaymentLink.Status.CLAIMED and link.direction == LinkDirection.RECEIVE:
        return "taken"  # somebody is about to pay, and may yet not do it
    if status != PaymentLink.Status.ACTIVE:
        return _OVER.get(status, "used")
    if not restrictions.admits(link, visit.email):
        return "email"
    if not visit.is_proven:
        return "code"
    return "choose" if claim_flow.is_available(link) else "unavailable"


def _own_claim(visit: Visit) -> Claim | None:
    """What this visitor has made of the link, if it was they."""
    mine = visit.said.get("claim")
    return mine and Claim.objects.filter(pk=mine, link=visit.link).first()


def _method(visit: Visit) -> str:
    """The way to pay or be paid that the visitor looks at."""
    offered = claim_flow.methods(visit)
    post = visit.request.POST
    wished = (post.get("step") or visit.request.GET.get("method") or "").upper()
    kept = (_kept(visit) or {}).get("method")
    return next((method for method in (wished, kept) if method in offered), offered[0])


def _kept(visit: Visit) -> dict | None:
    """What was said on this step before; of a claim that is made, without the account number."""
    sealed = visit.said.get("draft") or visit.said.get("before")
    return visit.unseal(_DRAFT, sealed) if sealed else None


def _form(visit: Visit, state: str, method: str) -> PageForm | None:
    """The form of a step; with what was sent to that step, not with that of an older tab."""
    sent = visit.request.POST if visit.request.method == "POST" else None
    step = sent.get("step", "") if sent is not None else ""
    if state == "email":
        return EmailForm(sent if step == "email" else None, initial={"email": visit.email})
    if state == "code":
        return CodeForm(sent if step == "code" else None)
    if state != "choose":
        return None
    data = sent if step.upper() == method else None
    kept = _kept(visit) or {}
    initial = kept if kept.get("method") == method else {}
    if method == _Method.WALLET:
        return WalletForm(
            data,
            initial=initial,
            wallets=claim_flow.own_wallets(visit),
            is_paying=visit.link.direction == LinkDirection.RECEIVE,
        )
    if method == _Method.USDC and visit.link.direction == LinkDirection.RECEIVE:
        return ExpectForm(data)
    # An account number is not shown again once it was sealed: it is typed anew.
    shown = {name: value for name, value in initial.items() if name != "account_number"}
    return _FORMS[method](data, initial=shown)


def _note(visit: Visit, state: str, form: PageForm):
    """Keep what the visitor said and lead on; None when the form says why it is refused."""
    step = visit.request.POST.get("step", "")
    if state == "code" and step in ("resend", "another"):
        return _another_code(visit, form) if step == "resend" else _another_address(visit)
    if not form.is_bound or not form.is_valid():
        return None
    if state == "email":  # codes are counted for each session, which costs one of these
        rate_limits.count_address(visit.link, client_network(visit.request))
    try:
        if state == "email":
            return _note_email(visit, form)
        if state == "code":
            return _note_code(visit, form)
        claim_flow.count(visit, form.draft)
        _try(visit, form.draft)
    except VerificationRequired:
        return _prove_again(visit)
    except DomainError as error:
        form.refuse(error)
        return None
    wallet_id = form.draft.get("wallet_id")
    visit.remember(draft=visit.seal(_DRAFT, form.draft), wallet=wallet_id)
    return visit.redirect_to("pay-review")


def _note_email(visit: Visit, form: EmailForm):
    email = form.cleaned_data["email"]
    if not restrictions.admits(visit.link, email):
        form.add_error(
            "email",
            gettext(
                "This payment was sent to another address. Look at the message you got it with, or"
                " ask whoever sent it."
            ),
        )
        return None
    # Where a code was sent a moment ago, to this visitor or another, that one will do.
    if email_verification.is_needed(visit.link):
        with suppress(RateLimitExceeded):
            email_verification.send_code(visit.link, email=email)
    visit.remember(email=email, proven=None)
    return visit.redirect_to()


def _note_code(visit: Visit, form: CodeForm):
    code = form.cleaned_data["code"]
    email_verification.check_code(visit.link, email=visit.email, code=code, visitor=visit.visitor)
    visit.remember(proven=True)
    return visit.redirect_to()


def _another_code(visit: Visit, form: CodeForm):
    try:
        email_verification.send_code(visit.link, email=visit.email)
    except DomainError as error:
        form.refuse_alone(error)
        return None
    return redirect_to(f"{visit.path()}?sent=again")


def _another_address(visit: Visit):
    visit.remember(email=None, proven=None)
    return visit.redirect_to()


def _prove_again(visit: Visit):
    """The code was typed too long ago: it takes another one."""
    visit.remember(proven=None)
    return redirect_to(f"{visit.path()}?sent=old")


def _try(visit: Visit, draft: dict) -> None:
    """Everything that a claim checks, by the claim itself: it is done in full, and taken back."""

    def tried():
        claim_flow.claim(visit, draft, agreed=claim_flow.mandate(visit.link, draft))
        transaction.set_rollback(True)

    service_runner.run(tried, actor=visit.actor)


def _show(visit: Visit, state: str, method: str, form: PageForm | None):
    claim = _own_claim(visit)
    # One short form needs no list of what is wrong with it: one is led to the field itself.
    wrong = [name for name in form.errors if name in form.fields] if form else []
    if wrong:
        form.fields[wrong[0]].widget.attrs["autofocus"] = True
    context = {
        "state": state,
        "form": form,
        "method": method,
        "coin": methods.currency_of(visit.link, method),
        "methods": claim_flow.methods(visit),
        "email": visit.email,
        "sent": visit.request.GET.get("sent", ""),
        "claim": claim,
        "claimed": claim and visit.claim_path(claim),
        "has_wallets": bool(form and "own" in form.fields),
        "here": f"{visit.path()}?method={method.lower()}" if state == "choose" else visit.path(),
        "sign_in_url": f"{reverse('account_login')}?next={visit.path()}",
    }
    status = pages.UNPROCESSABLE if form is not None and form.errors else 200
    return visit.render("links/pay_page/pay.html", context, status=status)


@link_page("GET", "POST")
def review(visit):
    """A last look at what goes where; its form is the claim."""
    state = state_of(visit)
    if state in ("email", "code"):
        return visit.redirect_to()  # it was known, but sessions end
    sent = visit.request.POST if visit.request.method == "POST" else None
    sealed = (sent if sent is not None else visit.said).get("draft", "")
    draft = visit.unseal(_DRAFT, sealed) if sealed else None
    if draft is None or (sent is None and state != "choose"):
        return visit.redirect_to()
    mandate = claim_flow.mandate(visit.link, draft)
    initial = {"draft": sealed} | ({"read": visit.seal(_MANDATE, mandate)} if mandate else {})
    form = ReviewForm(sent, initial=initial, needs_mandate=bool(mandate))
    if form.is_bound and form.is_valid():
        try:
            answer = _claim(visit, form, draft)
        except VerificationRequired:
            answer = _prove_again(visit)
        if answer:
            return answer
        visit.link.refresh_from_db(fields=["status"])
    return _show_review(visit, form, draft)


def _claim(visit: Visit, form: ReviewForm, draft: dict):
    claimed = []

    def work():
        agreed = _read(visit, form) if form.cleaned_data.get("accepted") else None
        claimed.append(claim_flow.claim(visit, draft, agreed=agreed))
        return claimed[0]

    answer = pages.submit(
        visit.request,
        form,
        work,
        done=visit.claim_path,
        actor=visit.actor,
    )
    if answer and claimed:  # else it is a repetition, and was remembered the first time
        shown = {name: said for name, said in draft.items() if name != "account_number"}
        visit.remember(claim=claimed[0].id, draft=None, before=visit.seal(_DRAFT, shown))
    return answer


def _read(visit: Visit, form: ReviewForm) -> dict | None:
    """The mandate as it stands on the page: whatever language another tab speaks meanwhile."""
    return visit.unseal(_MANDATE, form["read"].value() or "")


def _show_review(visit: Visit, form: ReviewForm, draft: dict):
    state = state_of(visit)
    wrong = "accepted" in form.errors
    if wrong:
        form.fields["accepted"].widget.attrs["autofocus"] = True
    context = {
        "form": form,
        # Whatever else was wrong, it cannot be mended here.
        "is_possible": state == "choose" and (wrong or form.may_pass or not form.errors),
        "draft": claim_flow.shown(visit, draft),
        "claimed": visit.claim_path(_own_claim(visit)) if state == "done" else "",
        "mandate": (_read(visit, form) or {}).get("wording") if "read" in form.fields else "",
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return visit.render("links/pay_page/review.html", context, status=status)
