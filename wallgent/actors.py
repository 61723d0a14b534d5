"""Who acts: an API key, a signed-in user, or the system itself."""

from dataclasses import dataclass
from datetime import datetime
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

    `wallet_scope` holds wallet ids; None means every wallet of the organization. `allowed_ips`
    and `expires_at` are the limits of an API key, which it passes on to the keys it creates; None
    is no limit.
    """

    organization: Any
    environment: str
    type: str
    id: str = ""
    permissions: frozenset[str] = frozenset()
    wallet_scope: frozenset[str] | None = None
    allowed_ips: tuple[str, ...] | None = None
    expires_at: datetime | None = None
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

    def require_every_wallet(self, action: str) -> None:
        """Raises PermissionDenied for a key with a wallet scope: `action` is not about its wallets.

        For what concerns the whole organization, such as its settings and approvals.
        """
        if self.wallet_scope is not None:
            raise PermissionDenied(
                f"A key with a wallet scope cannot {action}. Use a key without one, or the"
                " dashboard."
            )

    def covers(self, wallet_id: str) -> bool:
        """Whether the wallet is inside this caller's scope."""
        return self.wallet_scope is None or wallet_id in self.wallet_scope

    @property
    def principal(self) -> str:
        """Whose idempotency keys these are; it survives the rotation of an API key."""
        if self.wallet_scope is None:
            return self.organization.id
        return ",".join(sorted(self.wallet_scope))
