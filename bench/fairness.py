"""How long one tenant's payments take while another tenant asks for all it can."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC

from django.conf import settings
from django.test import Client

from accounts.organizations.models import Membership, Organization, User
from accounts.organizations.services import api_keys, organizations
from accounts.wallets import services as wallets
from bench.world import actor_of
from links.payment_links.imports.kind import KIND
from wallgent import ids, redis
from wallgent.api.schemas import METADATA_LIMIT_VALUES
from wallgent.imports import tables, uploads
from wallgent.imports.models import ImportExport
from wallgent.localdev import workspace

AIM_MILLISECONDS = 250
CONNECTIONS = 8  # of the other tenant
_HEAD_START_SECONDS = 1
_PATIENCE_SECONDS = 120
_CSRF = "t" * 32


@dataclass
class Load:
    """What the other tenant asks for, again and again."""

    title: str
    path: str
    headers: dict = field(default_factory=dict)
    method: str = "GET"
    body: str = ""
    slow: bool = False  # reads what it gets at some 160 KB a second
    is_ready: bool = False  # begins when the worker has prepared the file


def measure(bench, tenant: "Tenant", *, seconds: float) -> list[dict]:
    """For each load the latencies of payments beside it; the first is without any."""
    results = [_result("alone", bench.pay_gently(seconds), {})]
    print(_line(results[0]), flush=True)
    for load in _loads(tenant):
        if load.is_ready:
            _wait_until_ready()
        _forget_rates()
        with _noise(load, bench.port, seconds + _HEAD_START_SECONDS) as process:
            time.sleep(_HEAD_START_SECONDS)
            outcome = bench.pay_gently(seconds)
            statuses = json.loads(process.stdout.readline())
        results.append(_result(load.title, outcome, statuses))
        print(_line(results[-1]), flush=True)
    return results


def _wait_until_ready() -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not ImportExport.objects.filter(status=ImportExport.Status.READY).exists():
        assert time.monotonic() < deadline, "no worker has prepared the file"
        time.sleep(0.2)


def _forget_rates() -> None:
    """Let each load begin with all that its tenant may ask for in a minute."""
    client = redis.client()
    for key in client.scan_iter("rate:*"):
        client.delete(key)


def _result(title: str, outcome, statuses: dict) -> dict:
    return {
        "load": title,
        "payments": len(outcome.latencies),
        "p50": outcome.percentile(0.50),
        "p99": outcome.percentile(0.99),
        "aim": AIM_MILLISECONDS,
        "statuses": statuses,
    }


def _line(result: dict) -> str:
    answers = ", ".join(f"{count} × {status}" for status, count in result["statuses"].items())
    return (
        f"fairness: beside {result['load']:<22} {result['payments']:>6,} payments,"
        f" p50 {result['p50']:>6.1f} ms, p99 {result['p99']:>6.1f} ms"
        f" (aim: under {result['aim']}){f'; it got {answers}' if answers else ''}"
    )


class Tenant:
    """An organization with the limits of its plan, and as much of everything as it may have."""

    def __init__(self):
        organization = organizations.create(name="Loud", email="loud@example.com")
        Organization.objects.filter(pk=organization.pk).update(plan="ENTERPRISE")
        organization.refresh_from_db()
        self.actor = actor_of(organization)
        metadata = {"a": [[]] * (METADATA_LIMIT_VALUES - 1)}
        for number in range(100):
            wallets.create(actor=self.actor, name=f"Loud {number}", metadata=metadata)
        _, secret = api_keys.create(actor=self.actor, name="Loud")
        self.key = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        self.session = {"Cookie": f"{self._session()}; {settings.CSRF_COOKIE_NAME}={_CSRF}"}
        self.pages = f"/{organization.id}/sandbox"
        self.file = "wallet,amount,description\n" + "".join(
            f"Loud 1,5,Prize {number}\n" for number in range(tables.ROWS_LIMIT)
        )
        reading = uploads.read(self.file.encode(), kind=KIND, actor=self.actor, zone=UTC)
        self.upload = uploads.store(reading, actor=self.actor, file_name="loud.csv")

    def _session(self) -> str:
        self.user = User.objects.create_user(f"{ids.new('usr').lower()}@example.com")
        Membership.objects.create(
            organization=self.actor.organization, user=self.user, role=Membership.Role.OWNER
        )
        browser = Client()
        browser.force_login(self.user)
        return f"{settings.SESSION_COOKIE_NAME}={browser.session.session_key}"


def _loads(tenant: Tenant) -> list[Load]:
    download = f"{tenant.pages}/payment-links/bulk/{tenant.upload.id}?download=csv"
    form = f'--b\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{_CSRF}\r\n'
    form += '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n'
    form += f"Content-Type: text/csv\r\n\r\n{tenant.file}\r\n--b--\r\n"
    return [
        Load("files being prepared", download, tenant.session),
        Load("downloads", download, tenant.session, is_ready=True),
        Load("slow downloads", download, tenant.session, slow=True, is_ready=True),
        Load(
            "uploads",
            f"{tenant.pages}/payment-links/bulk",
            tenant.session | {"Content-Type": "multipart/form-data; boundary=b"},
            method="POST",
            body=form,
        ),
        Load("pages", f"{tenant.pages}/", tenant.session),
        Load("lists", "/v1/wallets?limit=100", tenant.key),
        Load("bodies", "/v1/wallets", tenant.key, method="POST", body=_lists(1024 * 1024)),
    ]


def _lists(size: int) -> str:
    """As many values as a body of this size can hold."""
    return "[" + "[]," * (size // 3 - 2) + "[]]"


def _noise(load: Load, port: int, seconds: float) -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.noise"],
        cwd=workspace.CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    said = vars(load) | {"port": port, "seconds": seconds, "connections": CONNECTIONS}
    print(json.dumps(said), file=process.stdin, flush=True)
    return process
