"""Authentication by bearer key. The user of an API request is an Actor."""

from rest_framework.authentication import BaseAuthentication

from accounts.organizations.errors import ApiKeyRevoked
from accounts.organizations.services import api_keys
from wallgent.errors import PermissionDenied, Unauthorized
from wallgent.http.client_ip import client_ip


class ApiKeyAuthentication(BaseAuthentication):
    errors = (Unauthorized, ApiKeyRevoked, PermissionDenied)

    def authenticate(self, request):
        scheme, _, secret = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthorized()
        actor = api_keys.authenticate(
            secret.strip(),
            ip=client_ip(request),
            user_agent=request.META.get("HTTP_USER_AGENT", "").replace("\0", ""),
            request_id=request.id,
        )
        return actor, None
