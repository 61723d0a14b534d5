"""Uploaded files until their rows are created: found, counted, confirmed, deleted when old."""

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.text import capfirst

from wallgent import clock, events, ids
from wallgent.actors import Actor
from wallgent.errors import InvalidState, NotFound
from wallgent.imports import kinds, worker
from wallgent.imports.kinds import Kind
from wallgent.imports.models import ImportFile, ImportRow

_Status = ImportFile.Status
_Row = ImportRow.Status


def access(id: str, *, kind: Kind, actor: Actor) -> ImportFile:
    """A file of the actor's organization and environment. Raises NotFound."""
    uuid = ids.parse(id, "imp")
    file = uuid and visible_to(actor, kind=kind).filter(pk=uuid).first()
    if not file:
        raise NotFound(f"There is no such file of {kind.texts.nouns}.")
    return file


def visible_to(actor: Actor, *, kind: Kind) -> QuerySet[ImportFile]:
    """The files of a kind that the actor may list."""
    return ImportFile.objects.visible_to(actor).filter(kind=kind.name)


def used_before(file: ImportFile) -> ImportFile | None:
    """The latest confirmed upload of the same file."""
    used = _same_content(file).filter(confirmed_at__isnull=False).exclude(pk=file.pk)
    return used.order_by("-confirmed_at", "-pk").first()


def _same_content(file: ImportFile) -> QuerySet[ImportFile]:
    return ImportFile.objects.filter(
        organization=file.organization_id,
        environment=file.environment,
        kind=file.kind,
        digest=bytes(file.digest),
    )


def counts(file: ImportFile) -> dict[str, int]:
    """How many rows there are in each status, and `ALL`."""
    found = dict.fromkeys(_Row.values, 0)
    by_status = file.rows.values_list("status").annotate(n=Count("pk")).order_by()
    found |= dict(by_status)
    return found | {"ALL": sum(found.values())}


@transaction.atomic(savepoint=False)
def confirm(file: ImportFile, *, actor: Actor, warned_of: str = "") -> ImportFile:
    """Have the objects created, in the name of the actor.

    Raises InvalidState for a file that was confirmed before, that has no good row, or whose content
    was confirmed in another upload than `warned_of`, such as meanwhile in another tab.
    """
    texts = kinds.of(file).texts
    # Lock all uploads of the same content: the second of two at once then sees the first.
    list(_same_content(file).order_by("pk").select_for_update(no_key=True))
    file = ImportFile.objects.get(pk=file.pk)
    if file.status != _Status.DRAFT:
        raise InvalidState(f"This file was confirmed before. Its {texts.nouns} are made once.")
    before = used_before(file)
    if before and before.id != warned_of:
        raise InvalidState(
            f"{capfirst(texts.nouns)} were made from this very file meanwhile. Look at them"
            " before you make them again."
        )
    ready = file.rows.filter(status=_Row.READY).count()
    if not ready:
        raise InvalidState(
            f"No row of this file can become {texts.a_noun}. Correct it, and send it again."
        )
    file.advance(_Status.CREATING)
    file.confirmed_at, file.confirmed_by = clock.real_now(), actor.id
    file.save(update_fields=["status", "confirmed_at", "confirmed_by"])
    events.record(kinds.of(file).confirmed_event, file, actor=actor, rows=ready)
    worker.schedule(file)
    return file


def delete_expired_drafts() -> int:
    """Delete files that were never confirmed; how many database rows that were."""
    # One by one: each may have 50,000 rows, and statements have a time limit.
    pks = list(ImportFile.objects.expired_drafts().values_list("pk", flat=True))
    return sum(map(_delete_expired_draft, pks))


@transaction.atomic
def _delete_expired_draft(pk: str) -> int:
    # Locked and read again: it may have been confirmed in the meantime.
    drafts = ImportFile.objects.expired_drafts().select_for_update()
    draft = drafts.filter(pk=pk).only("pk").first()
    return draft.delete()[0] if draft else 0
