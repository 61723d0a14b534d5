"""API endpoints of API keys (contract 3.7)."""

from typing import Annotated

from pydantic import ConfigDict, Field

from accounts.organizations.models import ApiKey
from accounts.organizations.services import api_keys
from wallgent.api.operations import Loader, operation
from wallgent.api.pagination import Page, PageQuery
from wallgent.api.schemas import Name, ObjectId, Schema, Timestamp, TimeText, one_of
from wallgent.api.views import ApiView
from wallgent.environments import Environment
from wallgent.errors import EnvironmentMismatch, InvalidState, KybRequired

Permissions = Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=50)]
Addresses = Annotated[list[Annotated[str, Field(max_length=49)]], Field(max_length=100)]


class ApiKeyInput(Schema):
    name: Name | None = None
    permissions: Permissions | None = None
    environment: Environment | None = None
    wallet_scope: Annotated[list[ObjectId], Field(max_length=100)] | None = None
    allowed_ips: Addresses | None = None
    expires_at: Timestamp | None = None


class ApiKeyChanges(Schema):
    name: Name = Field(default_factory=str)  # unchanged, unless sent
    permissions: Permissions = []
    allowed_ips: Addresses | None = None
    expires_at: Timestamp | None = None


class ApiKeyOutput(Schema):
    id: str
    name: str
    key_prefix: str
    permissions: list[str]
    environment: one_of(Environment)
    status: one_of(ApiKey.Status)
    wallet_scope: list[str] | None
    allowed_ips: list[str] | None
    last_used_at: TimeText | None
    expires_at: TimeText | None
    created_at: TimeText
    updated_at: TimeText


class NewApiKeyOutput(ApiKeyOutput):
    """The secret is shown once: it is absent when the answer is replayed."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    secret: str = Field(default_factory=str)


class RevokedApiKeyOutput(ApiKeyOutput):
    deleted: bool = True


class ApiKeysView(ApiView):
    path = "api-keys"

    @operation("organizations:read", query=PageQuery, answers=Page[ApiKeyOutput])
    def get(self, request, query):
        """List API keys."""
        return self.page(ApiKey.objects.visible_to(request.actor), query, ApiKeyOutput.of)

    @operation(
        "organizations:write",
        body=ApiKeyInput,
        answers={201: NewApiKeyOutput},
        secrets={"secret"},
        errors=(EnvironmentMismatch, KybRequired),
        example={"name": "CI"},
    )
    def post(self, request, data):
        """Create an API key."""
        key, secret = api_keys.create(
            actor=request.actor,
            name=data.name or "",
            permissions=data.permissions,
            environment=data.environment,
            wallet_scope=data.wallet_scope,
            allowed_ips=data.allowed_ips,
            expires_at=data.expires_at,
        )
        return NewApiKeyOutput.of(key, secret=secret)


class ApiKeyView(ApiView):
    path = "api-keys/{key_id}"
    loads = {"key": Loader("key_id", api_keys.access)}

    @operation("organizations:read", answers=ApiKeyOutput)
    def get(self, request, key):
        """Get an API key."""
        return ApiKeyOutput.of(key)

    @operation(
        "organizations:write",
        body=ApiKeyChanges,
        answers=ApiKeyOutput,
        errors=(InvalidState,),
        example={"name": "CI"},
    )
    def patch(self, request, key, data):
        """Change an API key."""
        return ApiKeyOutput.of(api_keys.update(key, actor=request.actor, **data.given()))

    @operation("organizations:write", answers=RevokedApiKeyOutput)
    def delete(self, request, key):
        """Revoke an API key."""
        return RevokedApiKeyOutput.of(api_keys.revoke(key, actor=request.actor))
