"""The page of a claim: its status while it is open, then its receipt.

The token in the path is a secret that only the claimant knows.
"""

from django.http import Http404, HttpResponse

from accounts.transfers import ethereum
from accounts.transfers.models import IncomingPayment
from accounts.transfers.services import orders
from links.pay_page import error_messages
from links.pay_page.access import Visit, link_page
from links.pay_page.receipt_forms import ReceiptForm, SimulateForm
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, receipts
from links.payment_links.services.claim_status import PublicStatus
from wallgent import money, public_origin
from wallgent.api import throttling
from wallgent.environments import Environment
from wallgent.http.client_ip import client_network
from wallgent.web import pages

EMAILS = 3  # per minute, of one claim or one network
LIVE = "live"  # the HTML ID of the part that the script replaces
STOP_POLLING = 286  # a status by which htmx ends polling

_UNEXPECTED = {
    IncomingPayment.Kind.EXCESS,
    IncomingPayment.Kind.LATE,
    IncomingPayment.Kind.WRONG_CHAIN,
}
# Contract address and chain ID of Circle's USDC on Ethereum and on its test network Sepolia.
_USDC = {
    Environment.PRODUCTION: ("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 1),
    Environment.SANDBOX: ("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238", 11155111),
}


@link_page("GET")
def receipt(visit):
    """Show the status of a claim, or its receipt."""
    claim, request = visit.claim, visit.request
    if not (request.htmx and request.htmx.target == LIVE):
        return _show(visit, claim)
    # The script asks for the part that changes: 204 if nothing did, 286 when the claim has ended.
    context = _context(visit, claim)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    status = 200 if context["polls"] else STOP_POLLING
    return visit.render("links/pay_page/_claim.html", context, status=status)


def _show(visit: Visit, claim: Claim, **more) -> HttpResponse:
    has_errors = any(form.errors for form in more.values())
    status = pages.UNPROCESSABLE if has_errors else 200
    context = _context(visit, claim) | more
    return visit.render("links/pay_page/receipt.html", context, status=status)


def _context(visit: Visit, claim: Claim) -> dict:
    link, token = visit.link, claim_status.token_of(claim)
    status = claim_status.public_status(claim)
    face = claim.status
    context = {
        "claim": claim,
        "status": status,
        "face": face,
        "polls": not status.is_final,
        "pause": "2s" if link.environment == Environment.SANDBOX else "15s",  # between polls
        # Differs whenever the page shows something different.
        "seen": f"{face}-{status.incoming[-1].id}" if status.incoming else face,
        "here": visit.path("pay-receipt", token=token),
        "sender": link.organization.name,  # not withheld from the claimant
        "draft": party(status),
        "email_path": visit.path("pay-receipt-letter", token=token),
        "form": ReceiptForm(initial={"email": claim.recipient_email}),
        "is_sent": visit.request.GET.get("sent") == "yes",
        "reason": _reason(claim),
        "is_open_again": face == "RETURNED" and link.status == PaymentLink.Status.ACTIVE,
        "astray": [one for one in status.incoming if one.kind in _UNEXPECTED],
    }
    if not status.pay_address:
        return context
    missing = money.amount_text(status.missing)
    context |= {"uri": _uri(link.environment, status), "plain_missing": missing}
    if link.environment == Environment.SANDBOX:
        context |= {
            "simulate": SimulateForm(initial={"amount": missing}),
            "simulate_path": visit.path("pay-simulate", token=token),
        }
    return context


def party(status: PublicStatus) -> dict:
    """Return where a claim's money goes or comes from, as its pages show it."""
    return {
        "method": status.method,
        "wallet_id": status.wallet_id or "",
        "last4": status.account_last4,
        "bank": status.bank_name,
        "address": status.address,
    }


def _reason(claim: Claim) -> str:
    """Return why a bank refused or returned the payment, if the visitor can act on it, else ""."""
    transfer = claim.transfer
    if transfer is None or claim.status not in (Claim.Status.FAILED, Claim.Status.RETURNED):
        return ""
    return error_messages.BANK_REASONS.get(transfer.failure_code, "")


def _uri(environment: str, status: PublicStatus) -> str:
    """Return the URI that opens a wallet app with the address and the amount (EIP-681)."""
    token, chain_id = _USDC[Environment(environment)]
    return ethereum.payment_uri(
        status.pay_address, amount=status.missing, token=token, chain_id=chain_id
    )


@link_page("GET", "POST")
def send_email(visit):
    """Send the receipt to an email address."""
    claim, here = visit.claim, visit.claim_path(visit.claim)
    status = claim_status.public_status(claim)
    if visit.request.method != "POST" or status.status != Claim.Status.SETTLED:
        return pages.redirect_to(here)
    form = ReceiptForm(visit.request.POST)
    if form.is_valid():
        for subject in (claim.id, client_network(visit.request)):
            throttling.check(subject=f"pay:receipt_email:{subject}", limit=EMAILS)

        def work():
            receipts.send(
                claim,
                to=form.cleaned_data["email"],
                party=party(status),
                url=public_origin.url(here),
            )

        done = f"{here}?sent=yes"
        answer = pages.submit(visit.request, form, work, done=lambda _: done, actor=visit.actor)
        if answer:
            return answer
    return _show(visit, claim, form=form)


@link_page("GET", "POST")
def simulate(visit):
    """Simulate a payment in USDC, in the sandbox only."""
    claim, here = visit.claim, visit.claim_path(visit.claim)
    address = claim.transfer.address if claim.transfer and claim.transfer.awaits_payer else ""
    if visit.link.environment != Environment.SANDBOX or not address:
        raise Http404
    if visit.request.method != "POST":
        return pages.redirect_to(here)
    form = SimulateForm(visit.request.POST)
    if form.is_valid():
        data = form.cleaned_data

        def work():
            orders.simulate_payment(
                address, actor=visit.actor, amount=data["amount"], chain=data["chain"]
            )

        answer = pages.submit(visit.request, form, work, done=lambda _: here, actor=visit.actor)
        if answer:
            return answer
    return _show(visit, claim, simulate=form)
