"""API endpoint that moves the sandbox clock forward."""

from datetime import datetime, timedelta

from pydantic import Field

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from wallgent import clock
from wallgent.api.commands import command
from wallgent.api.schemas import Schema, Timestamp, TimeText
from wallgent.api.views import ApiView, answer
from wallgent.environments import Environment
from wallgent.errors import SandboxOnly, ValidationError

_DAY_SECONDS = 24 * 3600
_MAX_SECONDS = organizations.CLOCK_LIMIT.days * _DAY_SECONDS
_FIELDS = ("seconds", "days", "to")


class ClockInput(Schema):
    seconds: int | None = Field(None, ge=1, le=_MAX_SECONDS)
    days: int | None = Field(None, ge=1, le=_MAX_SECONDS // _DAY_SECONDS)
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


class ClockAdvanceView(ApiView):
    permissions = {"POST": "organizations:write"}

    @command(ClockInput)
    def post(self, request, data):
        if request.actor.environment != Environment.SANDBOX:
            raise SandboxOnly("Only the clock of a sandbox can be moved: use a sandbox key.")
        request.run.start()
        organization = organizations.advance_clock(
            request.actor.organization, actor=request.actor, **_target(data)
        )
        return answer(ClockOutput.of(organization))


def _target(data: ClockInput) -> dict[str, datetime | timedelta]:
    """Return the duration or the time to advance by or to. Raises ValidationError."""
    given = [name for name in _FIELDS if getattr(data, name) is not None]
    if len(given) != 1:
        raise ValidationError(
            "Say how far the clock goes forward: by seconds, by days, or to a time.",
            fields={name: "give one of seconds, days and to" for name in given or _FIELDS},
        )
    if data.to is not None:
        return {"to": data.to}
    return {"by": timedelta(seconds=data.seconds or 0, days=data.days or 0)}
