"""URLs of the user's account (django-allauth's pages) and of invitations."""

from allauth import urls
from django.db import transaction
from django.urls import URLResolver, include, path
from django.views.decorators.cache import never_cache

from accounts.organizations.pages import appearance, invitations
from accounts.organizations.sign_in import two_factor
from wallgent.web.access import account_page

_REPLACED_VIEWS = {"mfa_activate_totp": two_factor.activate_app}


def _wrapped(patterns: list) -> list:
    """Run each view in one transaction, in the dashboard, and keep its pages out of caches.

    A change and its event are committed together. After signing out, the back button shows no
    codes, secrets or addresses.
    """
    for entry in patterns:
        if isinstance(entry, URLResolver):
            _wrapped(entry.url_patterns)
        else:
            view = _REPLACED_VIEWS.get(entry.name, entry.callback)
            entry.callback = never_cache(transaction.atomic(account_page(view)))
    return patterns


urlpatterns = [
    path("account/appearance", appearance.show, name="account-appearance"),
    path("account/", include(_wrapped(urls.urlpatterns))),
    path("invitations/<str:token>", invitations.page, name="invitation"),
]
