"""The cases. Each runs in rounds: first the reference, then Wallgent."""

import contextlib
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import load, usage
from bench.load import Outcome
from bench.payroll import SET
from bench.reference import Reference
from bench.world import World, count_payments, count_transactions
from wallgent.localdev import workspace

BATCH = 20
WARM_UP_SECONDS = 2


@dataclass(frozen=True)
class Case:
    """One line of the results."""

    name: str
    title: str
    aim: float
    script: str  # of the reference
    reference_clients: int
    measure: Callable  # (bench, seconds) -> Outcome
    transfers: int = 1  # in one response of Wallgent


@dataclass
class Result:
    """The results of all rounds of a case. Rates are in transfers per second."""

    case: Case
    reference: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    reference_cpu: list[float] = field(
        default_factory=list
    )  # seconds per transfer, of all processes
    our_cpu: list[float] = field(default_factory=list)
    load_average: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        return [ours / reference for ours, reference in zip(self.ours, self.reference, strict=True)]

    def as_dict(self) -> dict:
        """Return the result for the report."""
        outcome = Outcome(seconds=1, latencies=self.latencies)
        return {
            "case": self.case.name,
            "title": self.case.title,
            "aim": self.case.aim,
            "reference": statistics.median(self.reference),
            "ours": statistics.median(self.ours),
            "ratio": statistics.median(self.ratios),
            "ratioLowest": min(self.ratios),
            "ratioHighest": max(self.ratios),
            "referenceCpu": statistics.median(self.reference_cpu),
            "oursCpu": statistics.median(self.our_cpu),
            "p50": outcome.percentile(0.50),
            "p99": outcome.percentile(0.99),
            "referenceRounds": self.reference,
            "oursRounds": self.ours,
            "loadAverage": self.load_average,
        }


class Bench:
    """Runs the cases against a world of wallets, a web server at `port`, and the reference."""

    def __init__(self, *, world: World, reference: Reference, port: int, payrolls: int):
        self.world = world
        self.reference = reference
        self.port = port
        self.payrolls = payrolls
        self._run = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def measure(self, case: Case, *, rounds: int, seconds: float) -> Result:
        """Run a case. Raises AssertionError for a wrong result, never for speed."""
        result = Result(case)
        clients = case.reference_clients
        self.reference.run(case.script, clients=clients, seconds=WARM_UP_SECONDS)
        case.measure(self, WARM_UP_SECONDS)
        for _ in range(rounds):
            self.world.catch_up()
            before = usage.cpu_seconds()
            rate = self.reference.run(case.script, clients=clients, seconds=seconds)
            cpu_seconds = usage.cpu_seconds() - before
            outcome = case.measure(self, seconds)
            result.reference.append(rate)
            result.ours.append(outcome.per_second * case.transfers)
            result.latencies += outcome.latencies
            result.reference_cpu.append(cpu_seconds / (rate * round(seconds)))
            transfers = len(outcome.latencies) * case.transfers
            result.our_cpu.append(outcome.cpu_seconds / transfers)
            result.load_average.append(os.getloadavg()[0])
        self.world.catch_up()
        return result

    def pay(self, seconds: float) -> Outcome:
        """Send payments between random wallets."""
        return self._post("/v1/payments", self._pairs(), 16, seconds, 201, 1)

    def pay_gently(self, seconds: float) -> Outcome:
        """Payments of a tenant that shares the server with another: few at once."""
        return self._post("/v1/payments", self._pairs(), 4, seconds, 201, 1)

    def pay_from_one(self, seconds: float) -> Outcome:
        """Send payments from one wallet."""
        return self._post("/v1/payments", self._pairs(self.world.members[0]), 32, seconds, 201, 1)

    def pay_batches(self, seconds: float) -> Outcome:
        """Send batches from random wallets of the caller."""
        return self._post("/v1/payments/batch", self._batches(), 16, seconds, 200, BATCH)

    def read(self, seconds: float) -> Outcome:
        """Send small authenticated reads, for comparison."""
        member = self.world.members[0]
        path = f"/v1/wallets/{member.wallet.id}/balance"
        request = load.request("GET", path, port=self.port, secret=member.secret, body="")
        return self._load(itertools.repeat(request), 16, seconds, 200)

    def payroll(self, seconds: float) -> Outcome:
        """Post sets in separate processes, without HTTP."""
        before = count_transactions()
        with contextlib.ExitStack() as stack:
            processes = [stack.enter_context(_payroll()) for _ in range(self.payrolls)]
            for process in processes:
                assert process.stdout.readline() == "ready\n"
            cpu_before = usage.cpu_seconds()
            for process in processes:
                print(seconds, file=process.stdin, flush=True)
            results = [json.loads(process.stdout.readline()) for process in processes]
            cpu_seconds = usage.cpu_seconds() - cpu_before
            for process in processes:
                process.stdin.close()
        posted = SET * sum(result["sets"] for result in results)
        assert count_transactions() - before == posted, "posted sets are not in the ledger"
        return Outcome(
            seconds=seconds,
            in_time=sum(result["inTime"] for result in results),
            cpu_seconds=cpu_seconds,
            latencies=[latency for result in results for latency in result["latencies"]],
        )

    def _post(self, path, bodies, connections, seconds, status, payments) -> Outcome:
        """Send writes, and assert that the acknowledged payments are those in the database."""
        requests = (
            load.request("POST", path, port=self.port, secret=secret, body=body, key=self._key())
            for secret, body in bodies
        )
        before = count_payments()
        outcome = self._load(requests, connections, seconds, status)
        acknowledged = outcome.statuses[status] * payments
        created = count_payments() - before
        assert created == acknowledged, f"{acknowledged} acknowledged, {created} in the database"
        return outcome

    def _load(self, requests, connections, seconds, status) -> Outcome:
        cpu_before = usage.cpu_seconds()
        outcome = load.run(
            self.port,
            requests.__next__,
            connections=connections,
            seconds=seconds,
            expected=status,
        )
        outcome.cpu_seconds = usage.cpu_seconds() - cpu_before
        assert set(outcome.statuses) == {status}, (outcome.statuses, outcome.failure)
        return outcome

    def _key(self) -> str:
        return f"{self._run}-{next(self._numbers):08}"

    def _pairs(self, sender=None):
        while True:
            member = sender or random.choice(self.world.members)
            yield member.secret, _payment(member, self.world.other_than(member.wallet))

    def _batches(self):
        while True:
            member = random.choice(self.world.members)
            payments = []
            for _ in range(BATCH):
                payer = self._wallet_of_same_key(member)
                payments.append(_payment(payer, self.world.other_than(payer.wallet)))
            yield member.secret, '{"payments":[' + ",".join(payments) + "]}"

    def _wallet_of_same_key(self, member):
        """Return a wallet that the same key may spend from."""
        while (other := random.choice(self.world.members)).secret != member.secret:
            pass
        return other


def _payment(member, recipient) -> str:
    return f'{{"from":"{member.wallet.id}","to":"{recipient.id}","amount":"1.00"}}'


def _payroll() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.payroll"],
        cwd=workspace.CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "wallgent.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


CASES = {
    case.name: case
    for case in (
        Case("payment", "payment, 16 at once", 0.15, "plain", 16, Bench.pay),
        Case("hot", "one hot wallet, 32 at once", 0.5, "hot", 32, Bench.pay_from_one),
        Case("batch", "batches of 20, 16 at once", 0.3, "plain", 16, Bench.pay_batches, BATCH),
        Case("payroll", "payroll in sets of 100", 0.5, "sets", 16, Bench.payroll, SET),
    )
}
