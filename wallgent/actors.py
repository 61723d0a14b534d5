"""Who acts: an API key, a signed-in user, or the system itself."""

from dataclasses import dataclass
from typing import Any

from django.db import models

from wallgent.errors import PermissionDenied


class ActorType(models.TextChoices):
    API_KEY = "API_KEY", "API key"
    USER = "USER", "User"
    SYSTEM = "SYSTEM", "System"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One organization in one environment, and what this caller may do there.

    `wallet_scope` holds wallet ids; None means every wallet of the organization.
    """

    organization: Any
    environment: str
    type: str
    id: str = ""
    permissions: frozenset[str] = frozenset()
    wallet_scope: frozenset[str] | None = None
    ip: str = ""
    user_agent: str = ""
    request_id: str = ""

    def may(self, permission: str) -> bool:
        return permission in self.permissions

    def require(self, permission: str) -> None:
        """Raises PermissionDenied, naming the permission."""
        if not self.may(permission):
            lacking = (
                f"Your role lacks the permission {permission}. Ask an owner of the organization."
                if self.type == ActorType.USER
                else f"This key lacks the permission {permission}."
            )
            raise PermissionDenied(lacking, permission=permission)

    def covers(self, wallet_id: str) -> bool:
        """Whether the wallet is inside this caller's scope."""
        return self.wallet_scope is None or wallet_id in self.wallet_scope

    @property
    def principal(self) -> str:
        """Whose idempotency keys these are; it survives the rotation of an API key."""
        if self.wallet_scope is None:
            return self.organization.id
        return ",".join(sorted(self.wallet_scope))
