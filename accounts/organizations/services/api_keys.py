"""API keys: made, shown once, checked on every call, revoked at once."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import connection, transaction

from accounts.errors import ApiKeyRevoked, KybRequired
from accounts.organizations import permissions as known
from accounts.organizations.models import ApiKey, Membership
from accounts.organizations.models.api_keys import SECRET_PREFIXES
from accounts.wallets.models import Wallet
from wallgent import clock, credentials, events, ids, prepared_queries
from wallgent.actors import Actor, ActorType
from wallgent.api.schemas import timestamp_text
from wallgent.environments import Environment
from wallgent.errors import (
    EnvironmentMismatch,
    InvalidState,
    NotFound,
    PermissionDenied,
    Unauthorized,
    ValidationError,
)

_SHOWN_LENGTH = 14
_USE_NOTED_EVERY = timedelta(minutes=1)

_by_hash = prepared_queries.Select(
    lambda digest: ApiKey.objects.select_related("organization").filter(secret_hash=digest)
)

# Many calls share a key, so its row is never waited for: who finds it locked lets it be.
_NOTE_USE = """
    UPDATE accounts_apikey SET last_used_at = %s WHERE id IN (
        SELECT id FROM accounts_apikey WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED)
"""


def authenticate(secret: str, *, ip: str, user_agent: str = "", request_id: str = "") -> Actor:
    """Who holds this secret. Raises Unauthorized, ApiKeyRevoked, PermissionDenied (address).

    Reads the key each time, so a revocation holds at once in every process.
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
    if key.allowed_ips and not _allowed(ip, key.allowed_ips):
        raise PermissionDenied("This key may not be used from this address.")
    now = clock.real_now()
    if key.last_used_at is None or now - key.last_used_at > _USE_NOTED_EVERY:
        with connection.cursor() as cursor:
            cursor.execute(_NOTE_USE, [now, ids.to_uuid(key.id)])
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
    """A key of the actor's organization. Raises NotFound, EnvironmentMismatch, PermissionDenied."""
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
    """A new key and its secret, which is never to be had again.

    Environment, permissions and every limit are the actor's own where not given, and it is never
    granted more than the actor has. Raises ValidationError, PermissionDenied, EnvironmentMismatch,
    KybRequired, ApiKeyRevoked.
    """
    actor = _as_it_is_now(actor, _lock(actor))
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
        permissions=_once_each(permissions),
        wallet_scope=wallet_scope and _once_each(wallet_scope),
        allowed_ips=_networks(allowed_ips) or (actor.allowed_ips and list(actor.allowed_ips)),
        expires_at=expires_at,
    )
    _check_grant(key, actor)
    key.save(force_insert=True)
    events.record("api_key.created", key, actor=actor)
    return key, secret


@transaction.atomic(savepoint=False)
def update(key: ApiKey, *, actor: Actor, **changes) -> ApiKey:
    """Change name, permissions, allowed_ips or expires_at, as far as given.

    The key may do no more than the actor, before the change and after it.
    Raises ValidationError, PermissionDenied, ApiKeyRevoked (the actor's key), InvalidState when
    revoked.
    """
    if not changes:
        return key
    # What is granted is judged by both keys as they are now: two changes at once would add up.
    locked = _lock(actor, key)
    key, actor = locked[key.id], _as_it_is_now(actor, locked)
    _check_manageable(key, actor)
    if key.revoked_at:
        raise InvalidState("The API key is revoked.", apiKeyId=key.id)
    if "permissions" in changes:
        _check_known(changes["permissions"])
        changes["permissions"] = _once_each(changes["permissions"])
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
    """End a key for good. Revoking it again changes nothing.

    Raises PermissionDenied for a key that may do more than the actor.
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
    """These keys and the actor's own as they are now, until the transaction ends."""
    wanted = {key.id for key in keys}
    if actor.type == ActorType.API_KEY:
        wanted.add(actor.id)
    found = ApiKey.objects.filter(pk__in=wanted).order_by("pk").select_for_update(no_key=True)
    return {key.id: key for key in found}


def _as_it_is_now(actor: Actor, locked: dict[str, ApiKey]) -> Actor:
    """The actor with what its key, or a person's role, permits now.

    Else those that were revoked, removed or limited since their request began would still pass on
    what they had, or take it back.
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


def _once_each(names: list[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _allowed(ip: str, networks: list[str]) -> bool:
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
    """Raises PermissionDenied where the key would have more than whoever grants it."""
    if excess := _excess(key, actor):
        what, own = excess
        raise PermissionDenied(
            f"This key cannot grant {what}: it does not have that itself. Grant less, or use the"
            " dashboard or a key that has it.",
            **own,
        )


def _check_manageable(key: ApiKey, actor: Actor) -> None:
    """Raises PermissionDenied where an API key would change or end one that may do more.

    People manage keys by their role.
    """
    if actor.type == ActorType.API_KEY and (excess := _excess(key, actor)):
        what, own = excess
        raise PermissionDenied(
            f"That key has {what}: this key does not have that. Use the dashboard or a key with at"
            " least the same rights.",
            **own,
        )


def _excess(key: ApiKey, actor: Actor) -> tuple[str, dict] | None:
    """What the key has and the actor has not, in words, and the actor's own limit; or nothing."""
    if beyond := sorted(set(key.permissions) - actor.permissions):
        return f"the permission {beyond[0]}", {"permission": beyond[0]}
    if not _within_scope(key.wallet_scope, actor):
        own = sorted(actor.wallet_scope)
        return "access to wallets outside this key's wallet scope", {"walletScope": own}
    if actor.allowed_ips is not None and not _within(key.allowed_ips, actor.allowed_ips):
        own = list(actor.allowed_ips)
        return "access from addresses outside this key's allowedIps", {"allowedIps": own}
    if actor.expires_at and (key.expires_at is None or key.expires_at > actor.expires_at):
        own = timestamp_text(actor.expires_at)
        return f"access after {own}, when this key expires", {"expiresAt": own}
    return None


def _within(networks: Sequence[str] | None, own: Sequence[str]) -> bool:
    """Whether every address of `networks`, none being all there are, lies in `own`."""
    if not networks:
        return False
    read = [ipaddress.ip_network(text) for text in own]
    # Joined, since two neighbors together may cover what neither does.
    joined = [
        network
        for version in (4, 6)
        for network in ipaddress.collapse_addresses(n for n in read if n.version == version)
    ]
    return all(
        any(other.version == network.version and network.subnet_of(other) for other in joined)
        for network in map(ipaddress.ip_network, networks)
    )


def _check_scope(wallet_scope: list[str] | None, environment: str, actor: Actor) -> None:
    if wallet_scope is None:
        return
    uuids = {ids.parse(id, "wal") for id in wallet_scope}
    owned = Wallet.objects.filter(
        pk__in=uuids - {None}, organization=actor.organization, environment=environment
    ).count()
    if not wallet_scope or None in uuids or owned != len(uuids):
        raise ValidationError(
            "walletScope names a wallet that this organization does not have in this environment.",
            fields={"walletScope": "names an unknown wallet, or none"},
        )


def _within_scope(wallet_scope: list[str] | None, actor: Actor) -> bool:
    if actor.wallet_scope is None:
        return True
    return wallet_scope is not None and actor.wallet_scope.issuperset(wallet_scope)
