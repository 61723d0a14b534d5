"""Uploaded files: read row by row, then stored for a preview."""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta, tzinfo

from django.db import connection, transaction

from wallgent import clock, credentials, ids, turns
from wallgent.actors import Actor
from wallgent.errors import RateLimitExceeded
from wallgent.imports import rows, tables
from wallgent.imports.kinds import Kind
from wallgent.imports.models import ImportFile, ImportRow

FILES_PER_HOUR = 30  # of one organization


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read: its table, and what each row stands for."""

    kind: Kind
    table: tables.Table
    drafts: list[rows.RowDraft]
    digest: bytes


def read(content: bytes, *, kind: Kind, actor: Actor, zone: tzinfo) -> Reading:
    """Read a CSV file. It takes seconds: call it outside of transactions.

    Raises ValidationError for anything else than such a file, RateLimitExceeded.
    """
    _check_rate(actor)  # before the work; the check in `store` is the one that counts
    table = tables.read(content)
    columns = rows.match_columns(table.columns, kind=kind)
    read_row = kind.row_reader(actor=actor, zone=zone)
    drafts = [
        rows.read(number, cells, columns=columns, read_row=read_row) for number, cells in table.rows
    ]
    # The content can be guessed: keyed, its digest does not give it away.
    digest = credentials.digest(hashlib.sha256(content).hexdigest())
    return Reading(kind, table, drafts, digest)


def _check_rate(actor: Actor) -> None:
    since = clock.real_now() - timedelta(hours=1)
    recent = ImportFile.objects.filter(organization=actor.organization, uploaded_at__gt=since)
    if recent.count() >= FILES_PER_HOUR:
        raise RateLimitExceeded("Many files were sent within an hour. Go on a little later.")


@transaction.atomic(savepoint=False)
def store(reading: Reading, *, actor: Actor, file_name: str) -> ImportFile:
    """Store a file that was read, for a preview. Raises RateLimitExceeded."""
    turns.acquire("import_files", actor.organization.id)
    _check_rate(actor)
    kind, table = reading.kind, reading.table
    name = " ".join(file_name.replace("\0", "").split())[:255]
    file = ImportFile.objects.create(
        organization=actor.organization,
        environment=actor.environment,
        kind=kind.name,
        file_name=name or kind.texts.default_file_name,
        digest=reading.digest,
        columns=table.columns,
        summary=kind.summarize(draft.terms for draft in reading.drafts if draft.terms),
        formula_count=sum(tables.is_formula(c) for _, row in table.rows for c in row),
        uploaded_at=clock.real_now(),
    )
    _copy(file, reading.drafts)
    return file


def _copy(file: ImportFile, drafts: list[rows.RowDraft]) -> None:
    # COPY, because 50,000 inserts would take too long for a request.
    table = ImportRow._meta.db_table
    fields = "file_id, number, status, cells, terms, problems"
    file_id = ids.to_uuid(file.id)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} ({fields}) FROM STDIN") as copy,
    ):
        for draft in drafts:
            status = ImportRow.Status.WRONG if draft.problems else ImportRow.Status.READY
            terms = None if draft.terms is None else json.dumps(draft.terms)
            cells, problems = json.dumps(draft.cells), json.dumps(draft.problems)
            copy.write_row((file_id, draft.number, status.value, cells, terms, problems))
