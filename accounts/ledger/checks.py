"""Checks that add up the ledger again and compare it with the records of other packages."""

from accounts.ledger import statements
from accounts.ledger.statements import trial_balance
from wallgent import money

__all__ = ["differences", "trial_balance"]


def differences() -> list[str]:
    """Run all checks. Returns a sentence for each difference; none when everything agrees."""
    found = statements.differences()
    if imbalance := statements.out_of_balance():
        found.append(f"trial balance: debits and credits differ by {money.amount_text(imbalance)}")
    return found + [line for sql in _registered for line in statements.run_check(sql)]


def register(sql: str) -> None:
    """Add the query of another package to the checks. Called once for each, at start.

    The query returns a sentence for each difference.
    """
    _registered.append(sql)


_registered: list[str] = []
