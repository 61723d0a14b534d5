"""How long a sweep of the queue takes while many rows wait for their time."""

import json
import statistics
import time

from django.db import connection
from django.test.utils import CaptureQueriesContext

from wallgent.due_work import queue
from wallgent.due_work.models import DueWork

ORGANIZATIONS = 1_000  # among which the rows are spread, on both clocks
SWEEPS = 100
AIM_MILLISECONDS = 50  # of the second between two sweeps
_HUNDREDTH = 100

_ADD_ORGANIZATIONS = """
INSERT INTO accounts_organization
SELECT (jsonb_populate_record(o, jsonb_build_object('id', uuidv7()))).*
  FROM accounts_organization o, generate_series(1, %s)
 WHERE o.id = (SELECT id FROM accounts_organization LIMIT 1)
"""
_ADD_ROWS = """
INSERT INTO wallgent_duework (id, kind, subject, organization_id, environment, clock, due_at,
                              created_at, version, failures, error)
SELECT gen_random_uuid(), 'expire_link', gen_random_uuid(), o.id, 'SANDBOX',
       CASE n %% 2 WHEN 0 THEN 'SANDBOX' ELSE 'REAL' END,
       now() + interval '400 days' + random() * interval '400 days', now(), 0, 0, ''
  FROM (SELECT id FROM accounts_organization ORDER BY id DESC LIMIT %s) o,
       generate_series(1, %s) n
"""


def measure(waiting_rows: int) -> dict:
    """Time sweeps beside a hundredth of the rows, then beside all. Assert that the plan is one."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(_ADD_ORGANIZATIONS, [ORGANIZATIONS])
    few, few_plan = _fill(waiting_rows // _HUNDREDTH)
    many, many_plan = _fill(waiting_rows)
    assert few_plan == many_plan, (few_plan, many_plan)
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE wallgent_duework")
    return {
        "waitingRows": waiting_rows,
        "organizations": ORGANIZATIONS,
        "milliseconds": many,
        "millisecondsWithFew": few,
        "ratio": many / few,
        "aim": AIM_MILLISECONDS,
    }


def line(result: dict) -> str:
    """Return the line of the report."""
    return (
        f"sweep: {result['milliseconds']:.1f} ms with {result['waitingRows']:,} waiting rows of"
        f" {result['organizations']:,} organizations (aim: under {result['aim']}); with a hundredth"
        f" of them {result['millisecondsWithFew']:.1f} ms, ratio {result['ratio']:.2f}, one plan"
    )


def _fill(rows: int) -> tuple[float, list]:
    """Fill the queue up to a number of rows. Return the median of a sweep and its plan."""
    missing = rows - DueWork.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(_ADD_ROWS, [ORGANIZATIONS, missing // ORGANIZATIONS])
        cursor.execute("VACUUM ANALYZE wallgent_duework, accounts_organization")
    return statistics.median(_sweep() for _ in range(SWEEPS)) * 1000, _plan()


def _sweep() -> float:
    started = time.perf_counter()
    assert queue.take() == [], "a row is due"
    return time.perf_counter() - started


def _plan() -> list:
    """Return the nodes of the sweep's plan, with their indexes."""
    with CaptureQueriesContext(connection) as captured:
        queue.take()
    [sweep] = [query["sql"] for query in captured if "WITH lane" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sweep}")
        [(plan,)] = cursor.fetchall()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    return list(_nodes(plan[0]["Plan"]))


def _nodes(plan: dict):
    yield plan["Node Type"], plan.get("Index Name")
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
