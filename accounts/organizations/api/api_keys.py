"""API endpoints of API keys (contract 3.7)."""

from typing import Annotated

from pydantic import Field

from accounts.organizations.models import ApiKey
from accounts.organizations.services import api_keys
from wallgent.api.commands import command
from wallgent.api.pagination import PageQuery
from wallgent.api.schemas import Name, ObjectId, Schema, Timestamp, TimeText
from wallgent.api.views import ApiView, Empty, answer
from wallgent.environments import Environment

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
    name: Name = ""
    permissions: Permissions = []
    allowed_ips: Addresses | None = None
    expires_at: Timestamp | None = None


class ApiKeyOutput(Schema):
    id: str
    name: str
    key_prefix: str
    permissions: list[str]
    environment: str
    status: str
    wallet_scope: list[str] | None
    allowed_ips: list[str] | None
    last_used_at: TimeText | None
    expires_at: TimeText | None
    created_at: TimeText
    updated_at: TimeText

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyOutput":
        return cls.model_construct(
            id=key.id,
            name=key.name,
            key_prefix=key.key_prefix,
            permissions=key.permissions,
            environment=key.environment,
            status=key.status,
            wallet_scope=key.wallet_scope,
            allowed_ips=key.allowed_ips,
            last_used_at=key.last_used_at,
            expires_at=key.expires_at,
            created_at=key.created_at,
            updated_at=key.updated_at,
        )


class ApiKeysView(ApiView):
    permissions = {"GET": "organizations:read", "POST": "organizations:write"}

    def get(self, request):
        query = self.query(PageQuery)
        keys = ApiKey.objects.visible_to(request.actor)
        return self.page(keys, query, lambda key: ApiKeyOutput.of(key).to_json())

    @command(ApiKeyInput)
    def post(self, request, data):
        request.run.start()
        key, secret = api_keys.create(
            actor=request.actor,
            name=data.name or "",
            permissions=data.permissions,
            environment=data.environment,
            wallet_scope=data.wallet_scope,
            allowed_ips=data.allowed_ips,
            expires_at=data.expires_at,
        )
        return answer(ApiKeyOutput.of(key), status=201, secret={"secret": secret})


class ApiKeyView(ApiView):
    permissions = {
        "GET": "organizations:read",
        "PATCH": "organizations:write",
        "DELETE": "organizations:write",
    }

    def get(self, request, id):
        return answer(ApiKeyOutput.of(api_keys.access(id, actor=request.actor)))

    @command(ApiKeyChanges)
    def patch(self, request, data, id):
        key = api_keys.access(id, actor=request.actor)
        request.run.start()
        return answer(ApiKeyOutput.of(api_keys.update(key, actor=request.actor, **data.given())))

    @command(Empty)
    def delete(self, request, data, id):
        key = api_keys.access(id, actor=request.actor)
        request.run.start()
        key = api_keys.revoke(key, actor=request.actor)
        return answer(ApiKeyOutput.of(key).to_json() | {"deleted": True})
