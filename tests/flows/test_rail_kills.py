"""Workers are killed while money is under way: it arrives once, or comes back."""

import random
import time
from collections import Counter

import pytest

from tests import stack as stacks
from tests.stack import wait_until

pytestmark = pytest.mark.xdist_group("stack")

COUNT = 6  # of each kind: each fault once
KILLS = 4
SETTLING_SECONDS = 90


def test_killed_anywhere_on_the_way_it_ends_the_same():
    with stacks.private() as stack:
        stack.ask("transfers", COUNT)
        stack.start("worker", "beat")
        for _ in range(KILLS):
            time.sleep(random.uniform(1.5, 4))
            victim = random.choice(["worker", "worker", "beat"])
            stack.kill(victim)
            stack.start(victim)

        # What is paid to an address in part is waited for; all the rest comes to its end, and
        # what is returned after it, too.
        under_way = (
            "SELECT id FROM accounts_transfer WHERE status IN ('PENDING', 'PROCESSING')"
            " AND received = 0 OR status = 'COMPLETED' AND next_attempt_at < now() + '10 minutes'"
        )
        wait_until(
            lambda: not stack.query(under_way),
            seconds=SETTLING_SECONDS,
            why="money is stuck on its way",
        )
        stack.assert_running()
        wait_until(lambda: stack.query("SELECT count(*) FROM events_outboxentry") == [(0,)])
        wait_until(lambda: stack.query("SELECT count(*) FROM ledger_unrolled") == [(0,)])

        assert stack.ask("proof") == {"books": [], "chains": [], "outbox": 0, "unrolled": 0}
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
        assert entries == 3 * 4 + 2 * 3 + COUNT  # a returned one has moved twice
