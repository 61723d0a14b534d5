"""The health endpoints."""

import pytest
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder

from wallgent import redis


def test_alive_needs_no_database(client):
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.django_db
class TestReady:
    def test_ready_when_everything_responds(self, client):
        response = client.get("/readyz")

        assert response.status_code == 200
        assert response.json() == {"status": "ok", "database": "ok", "broker": "ok"}
        assert "no-store" in response.headers["Cache-Control"]

    def test_not_ready_without_a_migration(self, client):
        MigrationRecorder.Migration.objects.filter(app="wallgent").delete()

        response = client.get("/readyz")

        assert (response.status_code, response.json()["database"]) == (503, "migrations missing")

    def test_not_ready_without_the_database(self, client, monkeypatch):
        def fail(recorder):
            raise OperationalError("gone")

        monkeypatch.setattr(MigrationRecorder, "applied_migrations", fail)

        response = client.get("/readyz")

        assert (response.status_code, response.json()["database"]) == (503, "unreachable")

    def test_not_ready_without_the_broker(self, client, monkeypatch):
        monkeypatch.setattr(redis, "attempt", lambda call, default=None: default)

        response = client.get("/readyz")

        assert (response.status_code, response.json()["broker"]) == (503, "unreachable")


def test_only_reads_are_allowed(client):
    assert client.head("/healthz").status_code == 200
    assert client.delete("/healthz").status_code == 405
