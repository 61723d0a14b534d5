"""The two addresses that load balancers ask."""

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder

from wallgent import redis


def test_alive_asks_nobody(client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
class TestReady:
    def test_when_all_answer(self, client):
        answer = client.get("/readyz")

        assert answer.status_code == 200
        assert answer.json() == {"status": "ok", "database": "ok", "broker": "ok"}
        assert "no-store" in answer.headers["Cache-Control"]

    def test_not_without_a_migration(self, client):
        MigrationRecorder.Migration.objects.filter(app="events").delete()

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()["database"]) == (503, "migrations missing")

    def test_not_without_the_database(self, client, monkeypatch):
        def fail(recorder):
            raise OperationalError("gone")

        monkeypatch.setattr(MigrationRecorder, "applied_migrations", fail)

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()["database"]) == (503, "unreachable")

    def test_not_without_the_broker(self, client, monkeypatch):
        monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()["broker"]) == (503, "unreachable")


def test_only_reading(client):
    assert client.head("/healthz").status_code == 200
    assert client.delete("/healthz").status_code == 405
