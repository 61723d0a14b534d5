"""Plays scenarios where `wallgent` is a published client: `python runner.py MODULE …`.

Reads {"kind", "origin", "casts": {scenario: cast}} as JSON, prints {scenario: what went wrong}.
"""

import importlib
import json
import sys
import traceback

from stage import Stage


def play(name: str, kind: str, origin: str, cast: dict) -> str | None:
    """None, or the traceback with everything that the scenario knew."""
    module, _, function = name.partition(".")
    scenario = getattr(importlib.import_module(f"scenarios.{module}"), function)
    try:
        scenario(Stage(kind, origin, cast))
    except Exception as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(told.format())
    return None


def main() -> None:
    told = json.load(sys.stdin)
    outcome = {
        name: play(name, told["kind"], told["origin"], cast) for name, cast in told["casts"].items()
    }
    json.dump(outcome, sys.stdout)


if __name__ == "__main__":
    main()
