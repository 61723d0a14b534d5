"""API keys: creation, authentication, changes and revocation."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts.organizations import permissions as known
from accounts.organizations.errors import ApiKeyRevoked
from accounts.organizations.models import ApiKey, Membership
from accounts.organizations.models.api_keys import SECRET_PREFIXES
from accounts.organizations.services import wallet_lookup
from wallgent import clock, credentials, events, ids, prepared_queries
from wallgent.actors import Actor, ActorType
from wallgent.api.schemas import timestamp_text
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidState,
    KybRequired,
    NotFound,
    PermissionDenied,
    Unauthorized,
    ValidationError,
)

_SHOWN_LENGTH = 14
_LAST_USE_INTERVAL = timedelta(minutes=1)

_by_hash = prepared_queries.Select(
    lambda digest: ApiKey.objects.select_related("organization").filter(secret_hash=digest)
)

# Many calls share a key, so none waits for the row: a call that finds it locked skips it.
_RECORD_LAST_USE = """
    UPDATE accounts_apikey SET last_used_at = %s WHERE id IN (
        SELECT id FROM accounts_apikey WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED)
"""


def authenticate(secret: str, *, ip: str, user_agent: str = "", request_id: str = "") -> Actor:
    """Return the actor of a secret. Raises Unauthorized, ApiKeyRevoked, PermissionDenied (address).

    Reads the key each time, so a revocation takes effect at once in every process.
    """
    if not secret.startswith(tuple(SECRET_PREFIXES.values())):
        raise Unauthorized()
    found = _by_hash(credentials.fingerprint(secret))
    if not found:
        raise Unauthorized()
    key = found[0]
    if key.status == ApiKey.Status.REVOKED:
        raise ApiKeyRevoked()
    if key.status == ApiKey.Status.EXPIRED:
        raise Unauthorized("This API key has expired. Create a new one.")
    if key.allowed_ips and not _is_allowed(ip, key.allowed_ips):
        raise PermissionDenied("This key may not be used from this address.")
    now = clock.real_now()
    if key.last_used_at is None or now - key.last_used_at > _LAST_USE_INTERVAL:
        with connection.cursor() as cursor:
            cursor.execute(_RECORD_LAST_USE, [now, ids.to_uuid(key.id)])
    return Actor(
        organization=key.organization,
        environment=key.environment,
        type=ActorType.API_KEY,
        id=key.id,
        ip=ip,
        user_agent=user_agent,
        request_id=request_id,
        **_rights(key),
    )


def _rights(key: ApiKey) -> dict:
    return {
        "permissions": frozenset(key.permissions),
        "wallet_scope": None if key.wallet_scope is None else frozenset(key.wallet_scope),
        "allowed_ips": tuple(key.allowed_ips) if key.allowed_ips else None,
        "expires_at": key.expires_at,
    }


def access(id: str, *, actor: Actor) -> ApiKey:
    """Return a key of the actor's organization.

    Raises NotFound, EnvironmentMismatch, PermissionDenied.
    """
    uuid = ids.parse(id, "key")
    key = uuid and ApiKey.objects.filter(pk=uuid, organization=actor.organization).first()
    if not key:
        raise NotFound("There is no such API key.")
    if key.environment != actor.environment:
        raise EnvironmentMismatch()
    if not _within_scope(key.wallet_scope, actor):
        raise PermissionDenied("That key reaches wallets outside this key's scope.")
    return key


@transaction.atomic(savepoint=False)
def create(
    *,
    actor: Actor,
    name: str = "",
    permissions: list[str] | None = None,
    environment: str | None = None,
    wallet_scope: list[str] | None = None,
    allowed_ips: list[str] | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Create a key; return it and its secret, which cannot be read again.

    Environment, permissions and every limit are the actor's own where not given, and it is never
    granted more than the actor has. Raises ValidationError, PermissionDenied, EnvironmentMismatch,
    KybRequired, ApiKeyRevoked.
    """
    actor = _with_current_rights(actor, _lock(actor))
    environment = environment or actor.environment
    _check_environment(environment, actor)
    if permissions is None:
        permissions = sorted(actor.permissions)
    _check_known(permissions)
    if wallet_scope is None and actor.wallet_scope is not None:
        wallet_scope = sorted(actor.wallet_scope)
    _check_scope(wallet_scope, environment, actor)
    expires_at = expires_at or actor.expires_at
    if expires_at and expires_at <= clock.real_now():
        raise ValidationError("expiresAt is in the past.", fields={"expiresAt": "is in the past"})
    secret = credentials.new_secret(SECRET_PREFIXES[environment])
    key = ApiKey(
        organization=actor.organization,
        environment=environment,
        name=name or "API key",
        key_prefix=secret[:_SHOWN_LENGTH],
        secret_hash=credentials.fingerprint(secret),
        permissions=_unique(permissions),
        wallet_scope=wallet_scope and _unique(wallet_scope),
        allowed_ips=_networks(allowed_ips) or (actor.allowed_ips and list(actor.allowed_ips)),
        expires_at=expires_at,
    )
    _check_grant(key, actor)
    key.save(force_insert=True)
    events.record("api_key.created", key, actor=actor)
    return key, secret


@transaction.atomic(savepoint=False)
def update(key: ApiKey, *, actor: Actor, **changes) -> ApiKey:
    """Change the given ones of name, permissions, allowed_ips and expires_at.

    The key may do no more than the actor, before the change and after it.
    Raises ValidationError, PermissionDenied, ApiKeyRevoked (the actor's key), InvalidState when
    revoked.
    """
    if not changes:
        return key
    # What is granted is judged by both keys as they are now: two changes at once would add up.
    locked = _lock(actor, key)
    key, actor = locked[key.id], _with_current_rights(actor, locked)
    _check_manageable(key, actor)
    if key.revoked_at:
        raise InvalidState("The API key is revoked.", apiKeyId=key.id)
    if "permissions" in changes:
        _check_known(changes["permissions"])
        changes["permissions"] = _unique(changes["permissions"])
    if "allowed_ips" in changes:
        changes["allowed_ips"] = _networks(changes["allowed_ips"])
    for name, value in changes.items():
        setattr(key, name, value)
    if changes.keys() - {"name"}:
        _check_grant(key, actor)
    key.save(update_fields=[*changes, "updated_at"])
    events.record("api_key.updated", key, actor=actor, changed=sorted(changes))
    return key


@transaction.atomic(savepoint=False)
def revoke(key: ApiKey, *, actor: Actor) -> ApiKey:
    """Revoke a key permanently. Revoking it again changes nothing.

    Raises PermissionDenied for a key with more rights than the actor.
    """
    _check_manageable(key, actor)
    now = clock.real_now()
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=now, updated_at=now):
        key.revoked_at = key.updated_at = now
        events.record("api_key.revoked", key, actor=actor)
    else:
        key.refresh_from_db()
    return key


def _lock(actor: Actor, *keys: ApiKey) -> dict[str, ApiKey]:
    """Lock these keys and the actor's own, and return them by id."""
    wanted = {key.id for key in keys}
    if actor.type == ActorType.API_KEY:
        wanted.add(actor.id)
    found = ApiKey.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    return {key.id: key for key in found}


def _with_current_rights(actor: Actor, locked: dict[str, ApiKey]) -> Actor:
    """Return the actor with the rights that its key, or a user's role, has now.

    Otherwise a key revoked, or a member removed, during the request could still grant its old
    rights. Raises ApiKeyRevoked, PermissionDenied.
    """
    if actor.type == ActorType.API_KEY:
        own = locked[actor.id]
        if own.status != ApiKey.Status.ACTIVE:
            raise ApiKeyRevoked()
        return replace(actor, **_rights(own))
    if actor.type == ActorType.USER:
        members = Membership.objects.select_for_update(no_key=True)
        member = members.filter(user=actor.id, organization=actor.organization).first()
        if member is None:
            raise PermissionDenied("You do not belong to this organization any more.")
        return replace(actor, permissions=known.OF_ROLE[member.role])
    return actor


def _unique(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _is_allowed(ip: str, networks: list[str]) -> bool:
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in networks)


def _networks(allowed_ips: list[str] | None) -> list[str] | None:
    if not allowed_ips:
        return None
    try:
        return [str(_network(text)) for text in allowed_ips]
    except ValueError as error:
        raise ValidationError(
            "allowedIps holds something that is neither an address nor a network.",
            fields={"allowedIps": str(error)},
        ) from None


def _network(text: str):
    network = ipaddress.ip_network(text, strict=False)
    # Callers' addresses are compared in their own version, so ::ffff:10.0.0.0/104 is 10.0.0.0/8.
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < 96:
        return network
    return ipaddress.ip_network((mapped, network.prefixlen - 96))


def _check_environment(environment: str, actor: Actor) -> None:
    if environment != Environment.PRODUCTION:
        return
    if actor.organization.production_activated_at is None:
        raise KybRequired()
    if actor.environment != Environment.PRODUCTION:
        raise EnvironmentMismatch(
            "A sandbox key cannot make a production key. Use a production key or the dashboard."
        )


def _check_known(permissions: list[str]) -> None:
    unknown = sorted(set(permissions) - set(known.ALL))
    if unknown:
        raise ValidationError(
            f"There is no permission {unknown[0]}.", fields={"permissions": f"{unknown} unknown"}
        )


def _check_grant(key: ApiKey, actor: Actor) -> None:
    """Raise PermissionDenied if the key would have more rights than the actor."""
    if excess := _excess(key, actor):
        right, own = excess
        raise PermissionDenied(
            f"This key cannot grant {right}: it does not have that itself. Grant less, or use the"
            " dashboard or a key that has it.",
            **own,
        )


def _check_manageable(key: ApiKey, actor: Actor) -> None:
    """Raise PermissionDenied if an API key would change or revoke one with more rights.

    Users manage keys by their role.
    """
    if actor.type == ActorType.API_KEY and (excess := _excess(key, actor)):
        right, own = excess
        raise PermissionDenied(
            f"That key has {right}: this key does not have that. Use the dashboard or a key with at"
            " least the same rights.",
            **own,
        )


def _excess(key: ApiKey, actor: Actor) -> tuple[str, dict] | None:
    """Describe a right that the key has and the actor lacks, and the actor's own limit.

    None if there is no such right.
    """
    if beyond := sorted(set(key.permissions) - actor.permissions):
        return f"the permission {beyond[0]}", {"permission": beyond[0]}
    if not _within_scope(key.wallet_scope, actor):
        own = sorted(actor.wallet_scope)
        return "access to wallets outside this key's wallet scope", {"walletScope": own}
    if actor.allowed_ips is not None and not _covers_networks(key.allowed_ips, actor.allowed_ips):
        own = list(actor.allowed_ips)
        return "access from addresses outside this key's allowedIps", {"allowedIps": own}
    if actor.expires_at and (key.expires_at is None or key.expires_at > actor.expires_at):
        own = timestamp_text(actor.expires_at)
        return f"access after {own}, when this key expires", {"expiresAt": own}
    return None


def _covers_networks(networks: Sequence[str] | None, own: Sequence[str]) -> bool:
    """Return whether `own` covers every address of `networks`. No networks means all addresses."""
    if not networks:
        return False
    own_networks = [ipaddress.ip_network(text) for text in own]
    # Merged, because two adjacent networks may together cover one that neither covers.
    merged = [
        network
        for version in (4, 6)
        for network in ipaddress.collapse_addresses(n for n in own_networks if n.version == version)
    ]
    return all(
        any(other.version == network.version and network.subnet_of(other) for other in merged)
        for network in map(ipaddress.ip_network, networks)
    )


def _check_scope(wallet_scope: list[str] | None, environment: str, actor: Actor) -> None:
    if wallet_scope is None:
        return
    requested = set(wallet_scope)
    owned = wallet_lookup.wallets().count_owned(requested, actor.organization, environment)
    if not requested or owned != len(requested):
        raise ValidationError(
            "walletScope names a wallet that this organization does not have in this environment.",
            fields={"walletScope": "names an unknown wallet, or none"},
        )


def _within_scope(wallet_scope: list[str] | None, actor: Actor) -> bool:
    if actor.wallet_scope is None:
        return True
    return wallet_scope is not None and actor.wallet_scope.issuperset(wallet_scope)
