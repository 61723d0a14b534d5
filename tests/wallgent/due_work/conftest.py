"""Kinds of due work for tests: each marks the name of its subject, a wallet, once."""

from datetime import timedelta

import pytest
from django.db import connection, transaction

from accounts.wallets.models import Wallet
from wallgent import clock, due_work, ids
from wallgent.due_work import kinds, queue
from wallgent.due_work.models import DueWork

KIND, SET = "test_one", "test_set"
MARK = "!"


def mark(rows) -> None:
    """Mark the wallets of the rows, in one transaction with the end of their rows."""
    with transaction.atomic():
        wallets = Wallet.objects.filter(pk__in=[row.subject for row in rows]).order_by("pk")
        for wallet in wallets.select_for_update(no_key=True):
            Wallet.objects.filter(pk=wallet.pk).update(name=wallet.name + MARK)
        due_work.finish(*rows)


def marks(wallet) -> int:
    return Wallet.objects.get(pk=wallet.pk).name.count(MARK)


@pytest.fixture(autouse=True)
def handlers(monkeypatch):
    """Register the two kinds alone. Return their handlers by name, to be replaced."""
    handlers = {KIND: mark, SET: mark}
    monkeypatch.setattr(kinds, "_kinds", {})
    for name, size in ((KIND, 1), (SET, 10)):
        due_work.register(
            name,
            lambda rows, name=name: handlers[name](rows),
            subject=Wallet,
            label="Mark a wallet",
            set_size=size,
        )
    return handlers


def schedule(wallet, *, kind: str = KIND, real_time: bool = False, **ago) -> DueWork:
    """Schedule work that has been due for some time; return its row."""
    wallet = Wallet.objects.select_related("organization").get(pk=wallet.pk)
    now = clock.real_now() if real_time else clock.now(wallet)
    with transaction.atomic():
        due_work.schedule(kind, wallet, at=now - timedelta(**ago), real_time=real_time)
    return row_of(wallet, kind)


def row_of(wallet, kind: str = KIND) -> DueWork | None:
    return DueWork.objects.filter(kind=kind, subject=ids.to_uuid(wallet.id)).first()


def flood(organization, count: int, *, follows: str = "REAL", kind: str = KIND) -> None:
    """Store rows that have been due for an hour, with subjects that do not exist."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock,"
            " due_at, created_at, version, failures, error)"
            " SELECT gen_random_uuid(), %s, gen_random_uuid(), %s, 'SANDBOX', %s,"
            "  now() - interval '1 hour' + n * interval '1 ms', now(), 0, 0, ''"
            " FROM generate_series(1, %s) n",
            [kind, ids.to_uuid(organization.id), follows, count],
        )


def taken_subjects() -> list[str]:
    """Take a set and return the ids of its subjects."""
    return [ids.to_text("wal", row.subject) for row in queue.take()]
