"""API endpoint that moves the sandbox clock forward."""

from datetime import timedelta

from pydantic import ConfigDict, Field

from accounts.organizations.models import Organization
from accounts.organizations.services import organizations
from wallgent import clock
from wallgent.api.operations import operation
from wallgent.api.schemas import Schema, Timestamp, TimeText
from wallgent.api.views import ApiView
from wallgent.environments import Environment
from wallgent.errors import SandboxOnly, ValidationError

_DAY_SECONDS = 24 * 3600
_MAX_SECONDS = organizations.CLOCK_LIMIT.days * _DAY_SECONDS
_FIELDS = ("seconds", "days", "to")


class ClockInput(Schema):
    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [f]} for f in _FIELDS]})

    seconds: int | None = Field(None, ge=1, le=_MAX_SECONDS)
    days: int | None = Field(None, ge=1, le=_MAX_SECONDS // _DAY_SECONDS)
    to: Timestamp | None = None

    @classmethod
    def read(cls, data: dict) -> "ClockInput":
        """Read how far the clock goes forward, in one of three ways. Raises ValidationError."""
        form = super().read(data)
        given = [name for name in _FIELDS if getattr(form, name) is not None]
        if len(given) != 1:
            raise ValidationError(
                "Say how far the clock goes forward: by seconds, by days, or to a time.",
                fields={name: "give one of seconds, days and to" for name in given or _FIELDS},
            )
        return form


class ClockOutput(Schema):
    now: TimeText
    real_now: TimeText
    ahead_seconds: int
    environment: str = Environment.SANDBOX

    @classmethod
    def of(cls, organization: Organization) -> "ClockOutput":
        real_now, offset = clock.real_now(), organization.sandbox_offset
        ahead_seconds = int(offset.total_seconds())
        return cls.model_construct(
            now=real_now + offset, real_now=real_now, ahead_seconds=ahead_seconds
        )


class ClockAdvanceView(ApiView):
    path = "sandbox/clock/advance"

    @operation(
        "organizations:write",
        body=ClockInput,
        answers=ClockOutput,
        errors=(SandboxOnly,),
        example={"days": 1},
    )
    def post(self, request, data):
        """Advance the sandbox clock."""
        by = timedelta(seconds=data.seconds or 0, days=data.days or 0)
        organization = organizations.advance_clock(
            request.actor.organization, actor=request.actor, by=by or None, to=data.to
        )
        return ClockOutput.of(organization)
