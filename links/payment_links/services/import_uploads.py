"""A file of links on its way in: read row by row, then kept for a look."""

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from decimal import Decimal

from django.db import connection, transaction

from accounts.organizations.models import LinkDirection
from links.payment_links.models import BatchRow, LinkBatch
from links.payment_links.services import import_files, import_rows
from wallgent import clock, credentials, ids, money, turns
from wallgent.actors import Actor
from wallgent.errors import RateLimitExceeded

FILES_PER_HOUR = 30
TOTALS_KEPT = 50  # wallets whose sums are told


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file says, row by row."""

    table: import_files.Table
    drafts: list[import_rows.Draft]
    digest: bytes


def read(content: bytes, *, actor: Actor, zone: tzinfo) -> Reading:
    """Read a CSV file. It takes seconds: no transaction is to be open meanwhile.

    Raises ValidationError for what is no such file, RateLimitExceeded.
    """
    _check_rate(actor)  # before the work; what counts is the check in `keep`
    table = import_files.read(content)
    reader = import_rows.Reader(import_rows.heading(table.columns), actor=actor, zone=zone)
    drafts = [reader.read(number, cells) for number, cells in table.rows]
    # Names, addresses and amounts can be guessed: the key keeps the digest from giving them away.
    digest = credentials.digest(hashlib.sha256(content).hexdigest())
    return Reading(table, drafts, digest)


def _check_rate(actor: Actor) -> None:
    lately = LinkBatch.objects.filter(
        organization=actor.organization, uploaded_at__gt=clock.real_now() - timedelta(hours=1)
    )
    if lately.count() >= FILES_PER_HOUR:
        raise RateLimitExceeded("Many files were sent within an hour. Go on a little later.")


@transaction.atomic(savepoint=False)
def keep(reading: Reading, *, actor: Actor, file_name: str) -> LinkBatch:
    """Keep a file that was read for a look; nothing is made of it yet. Raises RateLimitExceeded."""
    turns.take("link_files", actor.organization.id)
    _check_rate(actor)
    table = reading.table
    batch = LinkBatch.objects.create(
        organization=actor.organization,
        environment=actor.environment,
        file_name=" ".join(file_name.replace("\0", "").split())[:255] or "links.csv",
        digest=reading.digest,
        columns=table.columns,
        totals=_totals(reading.drafts),
        formula_count=sum(import_files.is_formula(c) for _, row in table.rows for c in row),
        uploaded_at=clock.real_now(),
    )
    _copy(batch, reading.drafts)
    return batch


def _totals(drafts: list[import_rows.Draft]) -> list[dict]:
    """What the good rows come to for each wallet and direction, what pays most first."""
    sums: dict[tuple, list] = defaultdict(lambda: [0, money.ZERO])
    for draft in drafts:
        if draft.terms:
            said = draft.terms
            entry = sums[said["direction"], said["wallet"], said["currency"]]
            entry[0] += 1
            entry[1] += Decimal(said["amount"]) * said["max_uses"]
    by_total = sorted(sums.items(), key=lambda item: item[1][1], reverse=True)
    pays_first = sorted(by_total, key=lambda item: item[0][0] != LinkDirection.SEND)
    return [
        {"direction": direction, "wallet": wallet, "currency": currency, "count": count}
        | {"total": money.amount_text(total)}
        for (direction, wallet, currency), (count, total) in pays_first[:TOTALS_KEPT]
    ]


def _copy(batch: LinkBatch, drafts: list[import_rows.Draft]) -> None:
    # COPY: fifty thousand inserts would keep whoever sent the file waiting.
    table = BatchRow._meta.db_table
    fields = "batch_id, number, status, cells, terms, problems"
    batch_id = ids.to_uuid(batch.id)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({fields}) FROM STDIN") as copy,
    ):
        for draft in drafts:
            status = BatchRow.Status.WRONG if draft.problems else BatchRow.Status.READY
            terms = None if draft.terms is None else json.dumps(draft.terms)
            cells, problems = json.dumps(draft.cells), json.dumps(draft.problems)
            copy.write_row((batch_id, draft.number, status.value, cells, terms, problems))
