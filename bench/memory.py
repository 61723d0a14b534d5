"""Memory of the programs of `make run` after load: their proportional set size."""

import json
import os
import subprocess
import sys
import urllib.request

from bench import load, stack, usage
from wallgent.localdev import workspace

PAY_SECONDS = 4
_FUNDINGS = 10
_NOT_COUNTED = ("postgres", "redis")
_KINDS = {"manage.py run": "supervisor", " worker ": "worker", " beat ": "beat", "granian": "web"}


def measure() -> dict[str, float]:
    """Return megabytes by kind of process, after some thousand payments. Empty unless on Linux."""
    if not usage.AVAILABLE:
        return {}
    with stack.fresh_workspace("run") as own:
        port = stack.free_port()
        env = {"WALLGENT_HOME": str(own.folder), "PORT": str(port), "DEBUG": "1"}
        with stack.program(["manage.py", "run"], log=own.folder / "run.log", env=env) as run:
            stack.wait_until_ready(port)
            demo = json.loads((own.folder / "demo.json").read_text())
            _pay(port, demo["apiKey"])
            megabytes = _by_kind(run.pid)
            _check_books(env)
    return megabytes


def _pay(port: int, secret: str) -> None:
    own = _call(port, secret, "GET", "/v1/wallets")["data"][0]["id"]
    other = _call(port, secret, "POST", "/v1/wallets", name="Other")["id"]
    for wallet_id in (own, other):
        for _ in range(_FUNDINGS):
            _call(port, secret, "POST", "/v1/sandbox/fund", walletId=wallet_id, amount="10000")
    body = json.dumps({"from": own, "to": other, "amount": "1"})
    request = load.request("POST", "/v1/payments", port=port, secret=secret, body=body)
    paid = load.run(port, lambda: request, connections=16, seconds=PAY_SECONDS, expected=201)
    assert set(paid.statuses) == {201}, paid.failure


def _call(port: int, secret: str, method: str, path: str, **fields) -> dict:
    request = urllib.request.Request(
        f"http://{stack.HOST}:{port}{path}",
        method=method,
        data=json.dumps(fields).encode() if fields else None,
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def _check_books(env: dict) -> None:
    command = [sys.executable, "manage.py", "check_books"]
    inherited = {name: value for name, value in os.environ.items() if name not in env}
    result = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=workspace.CHECKOUT,
        env=inherited | env,
    )
    assert result.returncode == 0, result.stderr


def _by_kind(root: int) -> dict[str, float]:
    megabytes: dict[str, float] = {}
    for pid in usage.family(root):
        command = usage.command(pid)
        if any(name in command.split(" ", 1)[0] for name in _NOT_COUNTED):
            continue
        kind = next((kind for mark, kind in _KINDS.items() if mark in command), "web")
        megabytes[kind] = megabytes.get(kind, 0) + usage.pss(pid)
    return megabytes
