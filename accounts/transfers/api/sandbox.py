"""What only a sandbox has: a clock that can be moved, and USDC that come when one likes.

Funding a wallet is with the wallets.
"""

from datetime import datetime, timedelta

from pydantic import Field

from accounts.errors import SandboxOnly
from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from accounts.transfers.services import orders
from wallgent import clock
from wallgent.api.commands import command
from wallgent.api.schemas import Amount, AmountText, Schema, Timestamp, TimeText
from wallgent.api.views import ApiView, answer
from wallgent.environments import Environment
from wallgent.errors import ValidationError
from wallgent.money import Currency

_DAY_SECONDS = 24 * 3600
_MOST_SECONDS = organizations.CLOCK_LIMIT.days * _DAY_SECONDS
_WAYS = ("seconds", "days", "to")


class ClockInput(Schema):
    seconds: int | None = Field(None, ge=1, le=_MOST_SECONDS)
    days: int | None = Field(None, ge=1, le=_MOST_SECONDS // _DAY_SECONDS)
    to: Timestamp | None = None


class ClockOutput(Schema):
    now: TimeText
    real_now: TimeText
    ahead_seconds: int
    environment: str

    @classmethod
    def of(cls, organization: Organization) -> "ClockOutput":
        real_now = clock.real_now()
        return cls.model_construct(
            now=real_now + organization.sandbox_offset,
            real_now=real_now,
            ahead_seconds=int(organization.sandbox_offset.total_seconds()),
            environment=Environment.SANDBOX,
        )


class UsdcPaymentInput(Schema):
    address: str = Field(max_length=64)
    amount: Amount
    # Plain letters: of others the small ones can be more than there is room for.
    chain: str = Field("ethereum", max_length=20, pattern="^[0-9A-Za-z._ -]+$")


class UsdcPaymentOutput(Schema):
    id: str
    address: str
    chain: str
    amount: AmountText
    currency: str
    is_expected: bool  # whether anybody waits for a payment at that address


class ClockAdvanceView(ApiView):
    permissions = {"POST": "organizations:write"}

    @command(ClockInput)
    def post(self, request, data):
        if request.actor.environment != Environment.SANDBOX:
            raise SandboxOnly("Only the clock of a sandbox can be moved: use a sandbox key.")
        request.run.start()
        organization = organizations.advance_clock(
            request.actor.organization, actor=request.actor, **_way(data)
        )
        return answer(ClockOutput.of(organization))


class UsdcPaymentsView(ApiView):
    permissions = {"POST": "payments:write"}

    @command(UsdcPaymentInput)
    def post(self, request, data):
        request.run.start()
        payment, is_expected = orders.simulate_payment(
            data.address, actor=request.actor, amount=data.amount, chain=data.chain
        )
        output = UsdcPaymentOutput.model_construct(
            id=payment.id,
            address=payment.address,
            chain=payment.chain,
            amount=payment.amount,
            currency=Currency.USDC,
            is_expected=is_expected,
        )
        return answer(output, status=201)


def _way(data: ClockInput) -> dict[str, datetime | timedelta]:
    """How far forward the caller means, or until when. Raises ValidationError."""
    given = [name for name in _WAYS if getattr(data, name) is not None]
    if len(given) != 1:
        raise ValidationError(
            "Say how far the clock goes forward: by seconds, by days, or to a time.",
            fields={name: "give one of seconds, days and to" for name in given or _WAYS},
        )
    if data.to is not None:
        return {"to": data.to}
    return {"by": timedelta(seconds=data.seconds or 0, days=data.days or 0)}
