"""The published Python clients against our server, over HTTP. Each scenario is a test.

Scenarios run in a Python where `wallgent` is the client: see tests/client.
"""

import ast
import json
from pathlib import Path

import pytest

from tests import stack as stacks
from tests.client import install

pytestmark = [pytest.mark.xdist_group("public client"), pytest.mark.timeout(300)]

FOLDER = Path(install.__file__).parent
RESOURCES = ("wallets", "payments", "payment_links", "api_keys", "organizations")
# (version of the client, sync or async, our entry point): the modules of scenarios
RUNS = {
    ("0.3.0", "sync", "web"): (*RESOURCES, "approvals", "sandbox", "clients"),
    ("0.3.0", "async", "web"): (*RESOURCES, "approvals", "sandbox"),
    ("0.2.0", "sync", "web"): RESOURCES,
    ("0.1.1", "sync", "web"): ("first",),
    ("0.1.1", "async", "web"): ("first",),
    ("0.3.0", "sync", "wsgi"): ("wallets", "payments", "clients"),
}


def scenarios(run):
    """Yield the names of a run's scenarios: the functions with one parameter, the stage."""
    for module in RUNS[run]:
        tree = ast.parse((FOLDER / "scenarios" / f"{module}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and len(node.args.args) == 1:
                yield f"{module}.{node.name}"


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    install.install()
    folder = tmp_path_factory.mktemp("public_client")
    with stacks.on_test_servers(folder, "client") as stack:
        yield stack
        assert stack.call("differences")["books"] == []


@pytest.fixture(scope="module")
def failures_of(stack):
    """Return a function that returns the failures of a run by scenario. A run happens once."""
    finished = {}

    def serve(entry):
        if not stack.is_running(entry):
            stack.stop()
            stack.start(entry)
            stack.wait_until_ready()

    def failures(run):
        if run not in finished:
            version, kind, entry = run
            serve(entry)
            arguments = {"kind": kind, "origin": stack.origin}
            arguments["casts"] = stack.call("client_organizations", list(scenarios(run)))
            runner = FOLDER / "runner.py"
            finished[run] = json.loads(install.run(version, runner, input=json.dumps(arguments)))
            stack.assert_running()
        return finished[run]

    return failures


@pytest.mark.parametrize(
    ("run", "scenario"),
    [
        pytest.param(run, name, id=f"{'-'.join(run)}-{name}")
        for run in RUNS
        for name in scenarios(run)
    ],
)
def test_client(failures_of, run, scenario):
    if failure := failures_of(run)[scenario]:
        pytest.fail(failure, pytrace=False)
