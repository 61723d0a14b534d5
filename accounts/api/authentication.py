"""Bearer keys. The user of an API request is an Actor."""

from rest_framework.authentication import BaseAuthentication

from accounts.services import api_keys
from wallgent.api.client_ip import client_ip
from wallgent.errors import Unauthorized


class ApiKeyAuthentication(BaseAuthentication):
    def authenticate(self, request):
        http = request._request
        scheme, _, secret = http.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise Unauthorized()
        actor = api_keys.authenticate(
            secret.strip(),
            ip=client_ip(http),
            user_agent=http.META.get("HTTP_USER_AGENT", "").replace("\0", ""),
            request_id=http.id,
        )
        return actor, None
