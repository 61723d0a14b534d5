"""The caller of a service: an API key, a signed-in user or the system itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models

from wallgent.environments import Environment
from wallgent.errors import PermissionDenied


class ActorType(models.TextChoices):
    API_KEY = "API_KEY", "API key"
    USER = "USER", "User"
    SYSTEM = "SYSTEM", "System"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A caller: its organization, environment and permissions.

    `wallet_scope` holds wallet ids; None means every wallet of the organization. `allowed_ips`
    and `expires_at` are the limits of an API key, inherited by the keys it creates; None means no
    limit.
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
        """Require a permission. Raises PermissionDenied, which names it."""
        if not self.may(permission):
            message = (
                f"Your role lacks the permission {permission}. Ask an owner of the organization."
                if self.type == ActorType.USER
                else f"This key lacks the permission {permission}."
            )
            raise PermissionDenied(message, permission=permission)

    def require_every_wallet(self, action: str) -> None:
        """Require a caller without a wallet scope, for an action on the whole organization.

        Examples are its settings and its approvals. Raises PermissionDenied, which names `action`.
        """
        if self.wallet_scope is not None:
            raise PermissionDenied(
                f"A key with a wallet scope cannot {action}. Use a key without one, or the"
                " dashboard."
            )

    def covers(self, wallet_id: str) -> bool:
        """Return whether the wallet is in this caller's scope."""
        return self.wallet_scope is None or wallet_id in self.wallet_scope

    @property
    def is_locked(self) -> bool:
        """Whether nothing can be changed here yet: production before its activation."""
        return (
            self.environment == Environment.PRODUCTION
            and self.organization.production_activated_at is None
        )

    @property
    def principal(self) -> str:
        """The owner of idempotency keys: the organization, or the wallet scope of an API key.

        It stays the same when an API key is rotated.
        """
        if self.wallet_scope is None:
            return self.organization.id
        return ",".join(sorted(self.wallet_scope))
