"""Workers are killed while transfers are processing: each still ends correctly."""

import random
import time
from collections import Counter

import pytest

from tests import stack as stacks
from tests.stack import wait_until

pytestmark = pytest.mark.xdist_group("stack")

COUNT = 6  # transfers of each kind, so that each fault occurs once
KILLS = 4
SETTLING_SECONDS = 90


def test_transfers_end_the_same_after_workers_are_killed():
    with stacks.private() as stack:
        stack.call("create_transfers", COUNT)
        stack.start("worker", "beat")
        for _ in range(KILLS):
            time.sleep(random.uniform(1.5, 4))
            victim = random.choice(["worker", "worker", "beat"])
            stack.kill(victim)
            stack.start(victim)

        # Addresses that are paid in part stay open; every other transfer ends, and those with a
        # return are returned.
        open_transfers = (
            "SELECT id FROM accounts_transfer WHERE status IN ('PENDING', 'PROCESSING')"
            " AND received = 0 OR status = 'COMPLETED' AND EXISTS (SELECT 1 FROM wallgent_duework"
            " WHERE subject = accounts_transfer.id AND due_at < now() + '10 minutes')"
        )
        wait_until(
            lambda: not stack.query(open_transfers),
            seconds=SETTLING_SECONDS,
            why="transfers are still open",
        )
        stack.assert_running()
        wait_until(lambda: stack.query("SELECT count(*) FROM wallgent_outboxentry") == [(0,)])
        wait_until(lambda: stack.query("SELECT count(*) FROM ledger_unrolled") == [(0,)])

        assert stack.call("differences") == {"books": [], "chains": [], "outbox": 0, "unrolled": 0}
        paid = sum(number % 3 + 3 >= 4 for number in range(COUNT))
        ends = Counter(status for (status,) in stack.query("SELECT status FROM accounts_transfer"))
        assert ends == {
            "FAILED": 3,
            "RETURNED": 3,
            "COMPLETED": 3 * 4 + paid,
            "PROCESSING": COUNT - paid,
        }
        [(orders, entries)] = stack.query(
            "SELECT (SELECT count(*) FROM accounts_simulatororder), count(*)"
            " FROM accounts_simulatorentry"
        )
        assert orders == 4 * COUNT
        assert entries == 3 * 4 + 2 * 3 + COUNT  # a returned transfer has two entries
