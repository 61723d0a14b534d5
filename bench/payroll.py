"""Posts sets of 100 payments to the ledger, as fast as one process can.

`python -m bench.payroll` prints "ready" when it is. For each line on standard input, a number of
seconds, it then posts for that long and prints one line of JSON.
"""

import json
import random
import sys
import time
from decimal import Decimal

SET = 100


def main() -> None:
    """Post sets for each line of standard input."""
    import django

    django.setup()
    from accounts.ledger.models import LedgerAccount

    wallets = LedgerAccount.objects.filter(kind="WALLET", balance__gt=0)
    book, accounts = "SANDBOX", list(wallets.values_list("pk", flat=True))
    print("ready", flush=True)
    for line in sys.stdin:
        seconds, in_time, sets, latencies = float(line), 0, 0, []
        end = time.perf_counter() + seconds
        while (started := time.perf_counter()) < end:
            _post_one_set(book, accounts)
            sets += 1
            latencies.append(time.perf_counter() - started)
            in_time += time.perf_counter() <= end
        print(json.dumps({"inTime": in_time, "sets": sets, "latencies": latencies}), flush=True)


def _post_one_set(book: str, accounts: list[str]) -> None:
    from django.db import transaction

    from accounts.ledger import journal
    from bench.world import REASON
    from wallgent import ids

    postings = []
    for _ in range(SET):
        source, target = random.sample(accounts, 2)
        move = journal.Move(debit=source, credit=target, amount=Decimal(1), currency="USD")
        postings.append(journal.Posting(id=ids.new("txn"), moves=(move,), reason=REASON))
    with transaction.atomic():
        journal.post_set(postings, book=book)


if __name__ == "__main__":
    main()
