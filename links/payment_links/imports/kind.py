"""The kind `payment_links`: what `wallgent.imports` needs to create links from CSV files."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from accounts.organizations.models import LinkDirection
from accounts.wallets import services as wallets
from accounts.wallets.models import Wallet
from links.payment_links.imports import rows
from links.payment_links.models import PaymentLink
from links.payment_links.services import payment_links
from links.payment_links.services.payment_links import Restrictions
from wallgent import clock, money
from wallgent.actors import Actor
from wallgent.imports.kinds import Kind, Texts
from wallgent.imports.models import ImportFile

TOTALS_LIMIT = 50  # wallets whose totals the preview shows


def _create(terms: dict, *, actor: Actor) -> str:
    expires_at = terms["expires_at"]
    link = payment_links.create(
        actor=actor,
        wallet=wallets.access(terms["wallet"], actor=actor),
        amount=Decimal(terms["amount"]),
        direction=terms["direction"],
        description=terms["description"],
        restrictions=Restrictions(emails=(terms["email"],) if terms["email"] else ()),
        expires_at=datetime.fromisoformat(expires_at) if expires_at else None,
        max_uses=terms["max_uses"],
        metadata=terms["metadata"],
    )
    return link.id


def _results(object_ids: list[str], *, actor: Actor) -> dict[str, list[str]]:
    """Each link's id, and its URL as far as the actor may know it."""
    links = PaymentLink.objects.filter(pk__in=object_ids)
    needed = links.only("slug", "direction", "organization", "environment", "wallet")
    return {link.id: [link.id, link.address_for(actor).url or ""] for link in needed}


def _totals(all_terms: Iterable[dict]) -> list[dict]:
    """The totals for each wallet and direction: what pays first, then by total."""
    sums: dict[tuple, list] = defaultdict(lambda: [0, money.ZERO])
    for terms in all_terms:
        entry = sums[terms["direction"], terms["wallet"], terms["currency"]]
        entry[0] += 1
        entry[1] += Decimal(terms["amount"]) * terms["max_uses"]
    by_total = sorted(sums.items(), key=lambda item: item[1][1], reverse=True)
    pays_first = sorted(by_total, key=lambda item: item[0][0] != LinkDirection.SEND)
    return [
        {"direction": direction, "wallet": wallet, "currency": currency, "count": count}
        | {"total": money.amount_text(total)}
        for (direction, wallet, currency), (count, total) in pays_first[:TOTALS_LIMIT]
    ]


def _preview(file: ImportFile, *, actor: Actor) -> dict:
    ids = {total["wallet"] for total in file.summary}
    visible = Wallet.objects.visible_to(actor).select_related("account")
    known = {wallet.id: wallet for wallet in visible.filter(pk__in=ids)}
    return {
        "totals": [
            total | {"wallet": known[total["wallet"]], "total": Decimal(total["total"])}
            for total in file.summary
            if total["wallet"] in known
        ],
        "has_more": len(file.summary) == TOTALS_LIMIT,
    }


def _example(actor: Actor) -> list[list[str]]:
    wallet = Wallet.objects.visible_to(actor).order_by("-is_default", "pk").first()
    name = wallet.name if wallet else "Main wallet"
    year = clock.now(actor).year + 1
    return [
        ["direction", "wallet", "amount", "description", "expires_at", "metadata.invoice"],
        ["SEND", name, "25.00", "Prize for the best talk", f"{year}-06-30", "A-17"],
        ["RECEIVE", name, "120.00", "Rent for May", "", "A-18"],
    ]


KIND = Kind(
    name="payment_links",
    permission="payments:write",
    path="payment-links/bulk",
    upload_page="payment-link-bulk",
    file_page="payment-link-batch",
    object_page="payment-link",
    parent_page="payment-links",
    confirmed_event="payment_link_batch.confirmed",
    columns=rows.COLUMNS,
    required_columns=rows.REQUIRED,
    row_reader=rows.reader,
    create=_create,
    summarize=_totals,
    preview=_preview,
    preview_template="links/payment_links/_import_totals.html",
    example=_example,
    result_columns=("link_id", "url"),
    results=_results,
    texts=Texts(
        noun="link",
        a_noun="a link",
        nouns="links",
        default_file_name="links.csv",
        title="Links from a file",
        lead=(
            "Send a CSV file with a row for each link. You see what is in it first; nothing is made"
            " before you say so."
        ),
        parent="Payment links",
        locked=(
            "You can look at this form; links are made here once your organization is verified. In"
            " the sandbox you can try all of it."
        ),
        required="Only wallet and amount are needed.",
        before_confirming=(
            "Nobody is written to: an e-mail address in a row says who may use its link."
        ),
        after_creating=(
            "The CSV file holds the address of each link: whoever has it can use the link."
        ),
    ),
)
