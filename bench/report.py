"""The results, as a table for people and as JSON for comparisons."""

import importlib.metadata
import json
import math
import os
import platform
import time
from pathlib import Path

from django.db import connection

from bench import stack
from wallgent import redis

_PACKAGES = ("django", "djangorestframework", "psycopg", "granian", "pydantic")


def machine() -> dict:
    """Return the machine and the versions of this run."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "postgresql": connection.pg_version,
        "redis": redis.client().info("server")["redis_version"],
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def head() -> str:
    """Return the header of the table."""
    return (
        f"{'case':<28}{'reference/s':>12}{'ours/s':>10}"
        f"  {'ratio':<5}  {'(spread)':<15} {'aim':<4}{'p50 ms':>9}{'p99 ms':>8}"
        f"{'CPU µs, reference':>19}{'ours':>6}"
    )


def line(result: dict) -> str:
    """Return one line of the table."""
    spread = f"({result['ratioLowest']:.3f}–{result['ratioHighest']:.3f})"
    return (
        f"{result['title']:<28}{result['reference']:>12,.0f}{result['ours']:>10,.0f}"
        f"  {result['ratio']:.3f}  {spread:<15} {result['aim']:.2f}"
        f"{result['p50']:>9.1f}{result['p99']:>8.1f}"
        f"{result['referenceCpu'] * 1e6:>19.0f}{result['oursCpu'] * 1e6:>6.0f}"
        f"   load {min(result['loadAverage']):.1f}–{max(result['loadAverage']):.1f}"
    )


def write(data: dict) -> Path:
    """Write the figures to the folder of the bench and return the path."""
    path = stack.FOLDER / time.strftime("%Y-%m-%dT%H%M%S.json")
    path.write_text(json.dumps(_json_value(data), indent=2, allow_nan=False) + "\n")
    return path


def _json_value(value):
    """Replace NaN, for what could not be measured, by None: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _json_value(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
