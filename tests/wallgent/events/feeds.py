"""Helpers for the tests of events and of the relay."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, connections, transaction

from accounts.organizations.models import Organization
from wallgent import events
from wallgent.actors import Actor, ActorType
from wallgent.environments import Environment
from wallgent.events import catalogue
from wallgent.events.schemas import Payload

_number = itertools.count(1)


def declare(monkeypatch):
    """Replace the catalogue by one with two event types."""
    monkeypatch.setattr(catalogue, "_declared", {})
    catalogue.event("thing.made", permission="wallets:read")(ThingMade)
    catalogue.event("thing.seen")(ThingSeen)


class ThingMade(Payload):
    """Whatever a test records."""

    values: dict[str, Any]

    @classmethod
    def of(cls, thing, /, *, environment, **values):
        return super().of(thing, environment=environment, values=values)

    def to_json(self):
        return {**self.values, "environment": self.environment}


class ThingSeen(Payload):
    @classmethod
    def seen_by(cls, organization, thing, data):
        return {**data, "seenBy": organization.name}


def organization(name: str = "Acme", **fields) -> Organization:
    email = f"owner{next(_number)}@example.com"
    return Organization.objects.create(name=name, email=email, plan="ENTERPRISE", **fields)


def actor_of(organization, environment=Environment.SANDBOX, **fields) -> Actor:
    return Actor(
        organization=organization,
        environment=environment,
        **{"type": ActorType.API_KEY, "id": "key_1", "request_id": "req_1"} | fields,
    )


def record_things(actor, count: int = 1, **extra) -> None:
    """Record `count` events, each in its own transaction unless the test has one."""
    for number in range(count):
        with transaction.atomic():
            events.record("thing.made", f"thing_{number}", actor=actor, number=number, **extra)


def run_sql(sql: str, *values):
    """Run a statement and return the first column of its rows, if any."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []


def in_threads(*calls) -> list:
    """Return the results of calls that run in parallel. Each thread closes its connections."""

    def run(call):
        try:
            return call()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(run, c) for c in calls]]
