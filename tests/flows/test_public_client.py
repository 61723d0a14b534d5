"""The published Python clients against our server, over HTTP: each scenario is a test.

A scenario runs where `wallgent` is the client, so here it is only named: see tests/client.
"""

import ast
import json
from pathlib import Path

import pytest

from tests import stack as stacks
from tests.client import install

pytestmark = [pytest.mark.xdist_group("public client"), pytest.mark.timeout(300)]

FOLDER = Path(install.__file__).parent
AREAS = ("wallets", "payments", "payment_links", "api_keys", "organizations")
# (version, whether its calls are awaited, our entry point) and the modules of scenarios it plays
PLAYS = {
    ("0.3.0", "sync", "web"): (*AREAS, "approvals", "sandbox", "clients"),
    ("0.3.0", "async", "web"): (*AREAS, "approvals", "sandbox"),
    ("0.2.0", "sync", "web"): AREAS,
    ("0.1.1", "sync", "web"): ("first",),
    ("0.1.1", "async", "web"): ("first",),
    ("0.3.0", "sync", "wsgi"): ("wallets", "payments", "clients"),
}


def scenarios(play):
    """The names of its scenarios: the public functions that take a stage alone."""
    for module in PLAYS[play]:
        tree = ast.parse((FOLDER / "scenarios" / f"{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and len(node.args.args) == 1:
                yield f"{module}.{node.name}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    install.install()
    folder = tmp_path_factory.mktemp("public_client")
    with stacks.beside_the_tests(folder, "client") as stack:
        yield stack
        assert stack.ask("proof")["books"] == []


@pytest.fixture(scope="module")
def outcome(stack):
    """What went wrong in each scenario of a play. All are played at the first question."""
    played = {}

    def serve(entry):
        if not stack.is_running(entry):
            stack.stop()
            stack.start(entry)
            stack.wait_until_ready()

    def of(play):
        if play not in played:
            version, kind, entry = play
            serve(entry)
            told = {"kind": kind, "origin": stack.origin}
            told["casts"] = stack.ask("cast", list(scenarios(play)))
            runner = FOLDER / "runner.py"
            played[play] = json.loads(install.run(version, runner, input=json.dumps(told)))
            stack.assert_running()
        return played[play]

    return of


@pytest.mark.parametrize(
    ("play", "scenario"),
    [
        pytest.param(play, name, id=f"{'-'.join(play)}-{name}")
        for play in PLAYS
        for name in scenarios(play)
    ],
)
def test_client(outcome, play, scenario):
    if went_wrong := outcome(play)[scenario]:
        pytest.fail(went_wrong, pytrace=False)
