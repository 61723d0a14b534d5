"""Runs scenarios in a Python where `wallgent` is a published client.

Reads {"kind", "origin", "casts": {scenario: cast}} as JSON, and prints {scenario: failure or null}.
A cast has the ids and keys of one organization: see client_organizations in tests/stack/inside.py.
"""

import importlib
import json
import sys
import traceback

from stage import Stage


def failure_of(name: str, kind: str, origin: str, cast: dict) -> str | None:
    """Run a scenario. Return None, or the traceback with all local variables."""
    module, _, function = name.partition(".")
    scenario = getattr(importlib.import_module(f"scenarios.{module}"), function)
    try:
        scenario(Stage(kind, origin, cast))
    except Exception as error:
        details = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(details.format())
    return None


def main() -> None:
    arguments = json.load(sys.stdin)
    failures = {
        name: failure_of(name, arguments["kind"], arguments["origin"], cast)
        for name, cast in arguments["casts"].items()
    }
    json.dump(failures, sys.stdout)


if __name__ == "__main__":
    main()
