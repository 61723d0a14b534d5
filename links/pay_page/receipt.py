"""What has become of a claim: its status while it lasts, then its receipt.

The token in the address is the claimant's alone.
"""

from django.http import Http404, HttpResponse

from accounts.transfers import ethereum
from accounts.transfers.models import IncomingPayment
from accounts.transfers.services import orders
from links.pay_page import error_messages
from links.pay_page.access import Visit, link_page, redirect_to
from links.pay_page.receipt_forms import ReceiptForm, SimulateForm
from links.payment_links.models import Claim, PaymentLink
from links.payment_links.services import claim_status, receipts
from links.payment_links.services.claim_status import PublicStatus
from wallgent import money, public_origin
from wallgent.api import throttling
from wallgent.environments import Environment
from wallgent.http.client_ip import client_network
from wallgent.web import pages

LETTERS = 3  # a minute, of one claim or one address
LIVE = "live"  # the id of what scripts swap
STOP_POLLING = 286

_ASTRAY = {IncomingPayment.Kind.EXCESS, IncomingPayment.Kind.LATE, IncomingPayment.Kind.WRONG_CHAIN}
# USDC by Circle on Ethereum and on its test network Sepolia: contract and chain.
_USDC = {
    Environment.PRODUCTION: ("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", 1),
    Environment.SANDBOX: ("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238", 11155111),
}


@link_page("GET")
def receipt(visit):
    """How far a claim is, and in the end its receipt."""
    claim, request = visit.claim, visit.request
    if not (request.htmx and request.htmx.target == LIVE):
        return _show(visit, claim)
    # The part that changes: nothing where nothing did, and no more questions at the end.
    context = _context(visit, claim)
    if request.GET.get("seen") == context["seen"]:
        return HttpResponse(status=204)
    status = 200 if context["polls"] else STOP_POLLING
    return visit.render("links/pay_page/_claim.html", context, status=status)


def face_of(status: PublicStatus) -> str:
    """Which of its faces the page shows."""
    return "PROCESSING" if status.status == Claim.Status.CLAIMED else status.status


def _show(visit: Visit, claim: Claim, **more) -> HttpResponse:
    refused = any(form.errors for form in more.values())
    status = pages.UNPROCESSABLE if refused else 200
    context = _context(visit, claim) | more
    return visit.render("links/pay_page/receipt.html", context, status=status)


def _context(visit: Visit, claim: Claim) -> dict:
    link, token = visit.link, claim_status.token_of(claim)
    status = claim_status.public_status(claim)
    face = face_of(status)
    context = {
        "claim": claim,
        "status": status,
        "face": face,
        "polls": not status.is_final,
        "pause": "2s" if link.environment == Environment.SANDBOX else "15s",  # between two looks
        # Changes when what is shown does.
        "seen": f"{face}-{status.incoming[-1].id}" if status.incoming else face,
        "here": visit.path("pay-receipt", token=token),
        "sender": link.organization.name,  # whoever claimed knows
        "draft": party(status),
        "letter_path": visit.path("pay-receipt-letter", token=token),
        "form": ReceiptForm(initial={"email": claim.recipient_email}),
        "is_sent": visit.request.GET.get("sent") == "yes",
        "reason": _reason(claim),
        "is_open_again": face == "RETURNED" and link.status == PaymentLink.Status.ACTIVE,
        "astray": [one for one in status.incoming if one.kind in _ASTRAY],
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
    """Where a claim's money goes or comes from, as its pages show it."""
    return {
        "method": status.method,
        "wallet_id": status.wallet_id or "",
        "last4": status.account_last4,
        "bank": status.bank_name,
        "address": status.address,
    }


def _reason(claim: Claim) -> str:
    """Why the bank refused or took back, where it said so and the visitor can do something."""
    transfer = claim.transfer
    if transfer is None or claim.status not in (Claim.Status.FAILED, Claim.Status.RETURNED):
        return ""
    return error_messages.BANK_SAYS.get(transfer.failure_code, "")


def _uri(environment: str, status: PublicStatus) -> str:
    """What a wallet opens with address and amount filled in."""
    token, chain_id = _USDC[Environment(environment)]
    return ethereum.payment_uri(
        status.pay_address, amount=status.missing, token=token, chain_id=chain_id
    )


# What one may do with it.


@link_page("GET", "POST")
def letter(visit):
    """Send the receipt to an address."""
    claim, here = visit.claim, visit.claim_path(visit.claim)
    status = claim_status.public_status(claim)
    if visit.request.method != "POST" or status.status != Claim.Status.SETTLED:
        return redirect_to(here)
    form = ReceiptForm(visit.request.POST)
    if form.is_valid():
        for subject in (claim.id, client_network(visit.request)):
            throttling.check(subject=f"pay:letter:{subject}", limit=LETTERS)

        def work():
            receipts.send(
                claim,
                to=form.cleaned_data["email"],
                party=party(status),
                locale=visit.request.locale,
                url=public_origin.url(here),
            )

        done = f"{here}?sent=yes"
        answer = pages.submit(visit.request, form, work, done=lambda _: done, actor=visit.actor)
        if answer:
            return answer
    return _show(visit, claim, form=form)


@link_page("GET", "POST")
def simulate(visit):
    """Let a payment in USDC arrive: in the sandbox, where there is no chain."""
    claim, here = visit.claim, visit.claim_path(visit.claim)
    address = claim.transfer.address if claim.transfer and claim.transfer.awaits_payer else ""
    if visit.link.environment != Environment.SANDBOX or not address:
        raise Http404
    if visit.request.method != "POST":
        return redirect_to(here)
    form = SimulateForm(visit.request.POST)
    if form.is_valid():
        said = form.cleaned_data

        def work():
            orders.simulate_payment(
                address, actor=visit.actor, amount=said["amount"], chain=said["chain"]
            )

        answer = pages.submit(visit.request, form, work, done=lambda _: here, actor=visit.actor)
        if answer:
            return answer
    return _show(visit, claim, simulate=form)
