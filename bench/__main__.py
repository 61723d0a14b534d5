"""Runs the cases and compares them with PostgreSQL alone. It asserts correctness, never speed."""

import argparse
import contextlib
import logging
import os
import signal
import subprocess

from bench import stack

CASES = (
    *("payment", "hot", "batch", "payroll"),
    *("fairness", "payouts", "expiry", "sweep", "memory"),
)
FAIRNESS_SECONDS = 10  # of each load


def main() -> None:
    """Run the cases that the options name."""
    options = _options()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # as Ctrl-C: stops all that was started
    with stack.servers() as workspace:
        os.environ["DJANGO_SETTINGS_MODULE"] = "wallgent.settings"
        import django

        django.setup()
        logging.disable(logging.INFO)  # in this process, not in the measured ones
        _run(options, workspace)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="repeat it for several")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of each half of a round")
    parser.add_argument("--threads", type=int, default=4, help="of each of the 2 web processes")
    parser.add_argument("--organizations", type=int, default=1, help="that own the wallets")
    parser.add_argument("--payrolls", type=int, default=2, help="processes that post sets")
    parser.add_argument("--waiting-rows", type=int, default=1_000_000, help="of the sweep")
    parser.add_argument("--worker", action="store_true", help="run worker and beat beside")
    return parser.parse_args()


def _run(options, workspace) -> None:
    from bench import cases, expiry, fairness, memory, payouts, report, sweep
    from bench.reference import Reference
    from bench.world import World, check_books

    print("Making the reference and a world to pay in …", flush=True)
    reference = Reference(workspace.postgres, workspace.folder)
    reference.prepare()
    world = World(organizations=options.organizations)
    report_data = {"commit": _commit(), "options": vars(options), "machine": report.machine()}
    print(" ".join(f"{name} {value}" for name, value in report_data["machine"].items()), flush=True)
    chosen = [name for name in options.case or CASES if name in cases.CASES]
    with contextlib.ExitStack() as running:
        is_shared = {"fairness", "payouts"} & set(options.case or CASES)
        if options.worker or is_shared:  # a worker prepares what the other tenant downloads
            running.enter_context(stack.worker(workspace.folder))
        port = running.enter_context(stack.web(workspace.folder, threads=options.threads))
        bench = cases.Bench(world=world, reference=reference, port=port, payrolls=options.payrolls)
        report_data |= _for_scale(bench) if chosen else {}
        report_data["cases"] = _measure(bench, chosen, options)
        tenant = fairness.Tenant() if is_shared else None
        if "fairness" in is_shared:
            report_data["fairness"] = fairness.measure(bench, tenant, seconds=FAIRNESS_SECONDS)
        if "payouts" in is_shared:
            report_data["payouts"] = payouts.measure(world, tenant)
            print(payouts.line(report_data["payouts"]), flush=True)
    if "expiry" in (options.case or CASES):
        report_data["expiry"] = expiry.measure(world, reference)
        print(expiry.line(report_data["expiry"]), flush=True)
    check_books()
    if "sweep" in (options.case or CASES):
        report_data["sweep"] = sweep.measure(options.waiting_rows)
        print(sweep.line(report_data["sweep"]), flush=True)
    if world.relay_seconds:
        report_data["relayPerSecond"] = world.relayed / world.relay_seconds
        print(f"relay: {report_data['relayPerSecond']:,.0f} events a second")
    if "memory" in (options.case or CASES):
        report_data["memory"] = memory.measure()
        total = sum(report_data["memory"].values())
        parts = ", ".join(f"{kind} {size:.0f}" for kind, size in report_data["memory"].items())
        print(f"memory: {total:.0f} MB ({parts}); aim: under 500")
    print(f"The books balance. Figures: {report.write(report_data)}")


def _measure(bench, names: list[str], options) -> list[dict]:
    from bench import cases, report

    results = []
    if names:
        print(report.head())
    for name in names:
        result = bench.measure(cases.CASES[name], rounds=options.rounds, seconds=options.seconds)
        results.append(result.as_dict())
        print(report.line(results[-1]), flush=True)
    return results


def _for_scale(bench) -> dict:
    """Measure reads per second, and the number of statements of a payment."""
    bench.read(1)
    read = bench.read(2)
    statements = bench.world.statements()
    print(
        f"for scale: GET …/balance {read.per_second:,.0f} a second (p50 "
        f"{read.percentile(0.5):.1f} ms); POST /v1/payments takes {len(statements)} statements",
        flush=True,
    )
    return {"readsPerSecond": read.per_second, "statements": statements}


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
    return ""


main()
