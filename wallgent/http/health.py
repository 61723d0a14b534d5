"""Whether this process lives, and whether it can do its work. For load balancers and people."""

import functools

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from wallgent import redis
from wallgent.web.page_rates import has_own_limits


@has_own_limits
@never_cache
@require_safe
def alive(request):
    """200 as long as the process answers at all."""
    return JsonResponse({"status": "ok"})


@has_own_limits
@never_cache
@require_safe
def ready(request):
    """200 when database and broker answer and every migration is applied, else 503."""
    checks = {"database": _database(), "broker": _broker()}
    is_ready = all(answer == "ok" for answer in checks.values())
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
    answers = redis.attempt(lambda client: client.ping(), default=False)
    return "ok" if answers else "unreachable"
