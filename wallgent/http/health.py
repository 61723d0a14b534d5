"""The health endpoints, for load balancers and people."""

import functools

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from wallgent import redis
from wallgent.http.middleware import has_own_limits


@has_own_limits
@never_cache
@require_safe
def alive(request):
    """Respond with 200: the process is running."""
    return JsonResponse({"status": "ok"})


@has_own_limits
@never_cache
@require_safe
def ready(request):
    """Respond with 200 if database and broker respond and all migrations are applied, else 503."""
    checks = {"database": _database(), "broker": _broker()}
    is_ready = all(result == "ok" for result in checks.values())
    status = "ok" if is_ready else "unavailable"
    return JsonResponse({"status": status} | checks, status=200 if is_ready else 503)


def _database() -> str:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return "unreachable"
    return "ok" if _latest_migrations() <= applied.keys() else "migrations missing"


@functools.cache
def _latest_migrations() -> set[tuple[str, str]]:
    return set(MigrationLoader(None).graph.leaf_nodes())


def _broker() -> str:
    responds = redis.attempt(lambda client: client.ping(), default=False)
    return "ok" if responds else "unreachable"
