"""The public page of a payment link, /pay/<slug>. It needs neither an account nor a script.

The steps: verify the email address, choose where the money goes or comes from, review. Sending the
form of the review page makes the claim, whose status is on its own page: `receipt`.
"""

from contextlib import suppress

from django.db import transaction
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext

from accounts.organizations.models import LinkDirection
from links.pay_page import claim_flow
from links.pay_page.access import Visit, link_page
from links.pay_page.forms import (
    AddressForm,
    BankForm,
    CodeForm,
    EmailForm,
    ExpectForm,
    ReviewForm,
    WalletForm,
)
from links.payment_links.errors import CodeSentAlready, VerificationRequired
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import (
    email_verification,
    methods,
    payment_links,
    rate_limits,
    restrictions,
)
from wallgent import service_runner
from wallgent.errors import DomainError
from wallgent.http.client_ip import client_network
from wallgent.web import pages
from wallgent.web.forms import PageForm

_Method = Claim.Method
_FORMS = {
    _Method.WALLET: WalletForm,
    _Method.ACH: BankForm,
    _Method.USDC: AddressForm,
}
# Nothing was paid, so the visitor may claim again.
_RETRYABLE = {Claim.Status.FAILED, Claim.Status.REJECTED, Claim.Status.EXPIRED}
# A returned payment reopens the link only if its wallet can pay again.
_RETRYABLE_WHILE_ACTIVE = _RETRYABLE | {Claim.Status.RETURNED}
_DRAFT, _MANDATE = "draft", "mandate"  # the kinds of sealed data
_OVER = {"EXPIRED": "expired", "CANCELLED": "cancelled"}


@link_page("GET", "POST")
def pay(visit):
    """Show the link and the visitor's next step; save what they enter."""
    state = state_of(visit)
    method = _method(visit)
    form = _form(visit, state, method)
    if visit.request.method == "POST":
        if form is None:
            return HttpResponseRedirect(visit.path())  # it shows the link's status
        answer = _save(visit, state, form)
        if not answer and not form.errors:
            # The form belongs to another step: it came from an old tab or a second click.
            answer = visit.redirect_to()
        if answer:
            return answer
    return _show(visit, state, method, form)


def state_of(visit: Visit) -> str:
    """Return the state of the page for this visitor."""
    link = visit.link
    claim, status = _own_claim(visit), payment_links.public_view(link).status
    retryable = _RETRYABLE_WHILE_ACTIVE if status == PaymentLink.Status.ACTIVE else _RETRYABLE
    if claim and claim.status not in retryable:
        return "done"
    if status == PaymentLink.Status.CLAIMED and link.direction == LinkDirection.RECEIVE:
        return "taken"  # another visitor has claimed it and may still fail to pay
    if status != PaymentLink.Status.ACTIVE:
        return _OVER.get(status, "used")
    if not restrictions.allows_email(link, visit.email):
        return "email"
    if not visit.is_verified:
        return "code"
    return "choose" if claim_flow.is_available(link) else "unavailable"


def _own_claim(visit: Visit) -> Claim | None:
    """Return the claim that this visitor made, or None."""
    claim_id = visit.session_data.get("claim")
    return claim_id and Claim.objects.filter(pk=claim_id, link=visit.link).first()


def _method(visit: Visit) -> str:
    """Return the method that the visitor chose, else the likeliest."""
    offered = claim_flow.methods(visit)
    post = visit.request.POST
    requested = (post.get("step") or visit.request.GET.get("method") or "").upper()
    saved = (_saved_draft(visit) or {}).get("method")
    return next((method for method in (requested, saved) if method in offered), offered[0])


def _saved_draft(visit: Visit) -> dict | None:
    """Return the visitor's draft, or the draft of their last claim without its account number."""
    sealed = visit.session_data.get("draft") or visit.session_data.get("before")
    return visit.unseal(_DRAFT, sealed) if sealed else None


def _form(visit: Visit, state: str, method: str) -> PageForm | None:
    """Return the form of a state. Ignores data that an older tab sent for another step."""
    sent = visit.request.POST if visit.request.method == "POST" else None
    step = sent.get("step", "") if sent is not None else ""
    if state == "email":
        return EmailForm(sent if step == "email" else None, initial={"email": visit.email})
    if state == "code":
        return CodeForm(sent if step == "code" else None)
    if state != "choose":
        return None
    data = sent if step.upper() == method else None
    saved = _saved_draft(visit) or {}
    initial = saved if saved.get("method") == method else {}
    if method == _Method.WALLET:
        return WalletForm(
            data,
            initial=initial,
            wallets=claim_flow.own_wallets(visit),
            is_paying=visit.link.direction == LinkDirection.RECEIVE,
        )
    if method == _Method.USDC and visit.link.direction == LinkDirection.RECEIVE:
        return ExpectForm(data)
    # A sealed account number is not shown again, so the visitor enters it anew.
    shown = {name: value for name, value in initial.items() if name != "account_number"}
    return _FORMS[method](data, initial=shown)


def _save(visit: Visit, state: str, form: PageForm) -> HttpResponse | None:
    """Save what the visitor entered and redirect to the next step; None if the form has errors."""
    step = visit.request.POST.get("step", "")
    if state == "code" and step in ("resend", "another"):
        return _send_another_code(visit, form) if step == "resend" else _forget_email(visit)
    if not form.is_bound or not form.is_valid():
        return None
    # Codes are counted per session. A new session has to enter its address first, counted here.
    if state == "email":
        rate_limits.count_address(visit.link, client_network(visit.request))
    try:
        if state == "email":
            return _save_email(visit, form)
        if state == "code":
            return _save_code(visit, form)
        claim_flow.count_request(visit, form.draft)
        _check_draft(visit, form.draft)
    except VerificationRequired:
        return _verify_again(visit)
    except DomainError as error:
        form.refuse(error)
        return None
    wallet_id = form.draft.get("wallet_id")
    visit.save_step(draft=visit.seal(_DRAFT, form.draft), wallet=wallet_id)
    return visit.redirect_to("pay-review")


def _save_email(visit: Visit, form: EmailForm) -> HttpResponse | None:
    email = form.cleaned_data["email"]
    if not restrictions.allows_email(visit.link, email):
        form.add_error(
            "email",
            gettext(
                "This payment was sent to another address. Look at the message you got it with, or"
                " ask whoever sent it."
            ),
        )
        return None
    # A code that was sent before, to this visitor or another, is still valid.
    if email_verification.is_needed(visit.link):
        with suppress(CodeSentAlready):
            email_verification.send_code(visit.link, email=email)
    visit.save_step(email=email, proven=None)
    return visit.redirect_to()


def _save_code(visit: Visit, form: CodeForm) -> HttpResponse:
    code = form.cleaned_data["code"]
    email_verification.check_code(visit.link, email=visit.email, code=code, visitor=visit.visitor)
    visit.save_step(proven=True)
    return visit.redirect_to()


def _send_another_code(visit: Visit, form: CodeForm) -> HttpResponse | None:
    try:
        email_verification.send_code(visit.link, email=visit.email)
    except DomainError as error:
        form.refuse_resend(error)
        return None
    return pages.redirect_to(f"{visit.path()}?sent=again")


def _forget_email(visit: Visit) -> HttpResponse:
    """Let the visitor enter another address."""
    visit.save_step(email=None, proven=None)
    return visit.redirect_to()


def _verify_again(visit: Visit) -> HttpResponse:
    """Ask for another code, because the verification has expired."""
    visit.save_step(proven=None)
    return pages.redirect_to(f"{visit.path()}?sent=old")


def _check_draft(visit: Visit, draft: dict) -> None:
    """Make the claim and roll it back, to check a draft by the rules of the claim itself."""

    def claim_and_roll_back():
        claim_flow.claim(visit, draft, agreed=claim_flow.mandate(visit.link, draft))
        transaction.set_rollback(True)

    service_runner.run(claim_and_roll_back, actor=visit.actor)


def _show(visit: Visit, state: str, method: str, form: PageForm | None) -> HttpResponse:
    claim = _own_claim(visit)
    # The form is short, so the focus goes to the first wrong field in place of a list of errors.
    wrong_fields = [name for name in form.errors if name in form.fields] if form else []
    if wrong_fields:
        form.fields[wrong_fields[0]].widget.attrs["autofocus"] = True
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
    """Show the draft for review; claim the link when the form is sent."""
    state = state_of(visit)
    if state in ("email", "code"):
        return visit.redirect_to()  # the session with the address has ended
    sent = visit.request.POST if visit.request.method == "POST" else None
    sealed = (sent if sent is not None else visit.session_data).get("draft", "")
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
            answer = _verify_again(visit)
        if answer:
            return answer
        visit.link.refresh_from_db(fields=["status"])
    return _show_review(visit, form, draft)


def _claim(visit: Visit, form: ReviewForm, draft: dict) -> HttpResponse | None:
    """Claim the link at most once. Return None if the form says why the claim was refused."""
    claimed = []

    def work():
        agreed = _mandate_read(visit, form) if form.cleaned_data.get("accepted") else None
        claimed.append(claim_flow.claim(visit, draft, agreed=agreed))
        return claimed[0]

    answer = pages.submit(
        visit.request,
        form,
        work,
        done=visit.claim_path,
        actor=visit.actor,
    )
    if answer and claimed:  # a repeated form was saved the first time
        shown = {name: value for name, value in draft.items() if name != "account_number"}
        visit.save_step(claim=claimed[0].id, draft=None, before=visit.seal(_DRAFT, shown))
    return answer


def _mandate_read(visit: Visit, form: ReviewForm) -> dict | None:
    """Return the mandate that the page shows, even if another tab changed the language since."""
    return visit.unseal(_MANDATE, form["read"].value() or "")


def _show_review(visit: Visit, form: ReviewForm, draft: dict) -> HttpResponse:
    state = state_of(visit)
    must_accept = "accepted" in form.errors
    if must_accept:
        form.fields["accepted"].widget.attrs["autofocus"] = True
    mandate = (_mandate_read(visit, form) if "read" in form.fields else None) or {}
    context = {
        "form": form,
        # Other errors cannot be corrected on this page.
        "is_possible": state == "choose" and (must_accept or form.is_temporary or not form.errors),
        "draft": claim_flow.review_context(visit, draft),
        "claimed": visit.claim_path(_own_claim(visit)) if state == "done" else "",
        "mandate": mandate.get("wording"),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return visit.render("links/pay_page/review.html", context, status=status)
