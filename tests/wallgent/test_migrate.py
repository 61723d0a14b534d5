"""`migrate` refuses a database whose history this version does not know."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder


@pytest.fixture
def other_history(db):
    """A database that an earlier version created."""
    applied = MigrationRecorder(connection).migration_qs
    applied.filter(app="accounts").delete()
    applied.create(app="accounts", name="0001_initial")
    return applied


def test_migrate_refuses_another_history_and_changes_nothing(other_history):
    before = set(other_history.values_list("app", "name"))

    with pytest.raises(CommandError, match=r"another version .* accounts\.0001_initial") as refusal:
        call_command("migrate", verbosity=0, interactive=False)

    assert "Nothing was changed" in str(refusal.value)
    assert set(other_history.values_list("app", "name")) == before


def test_migrate_accepts_its_own_history(db):
    call_command("migrate", verbosity=0, interactive=False)
