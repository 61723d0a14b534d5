"""One's own account, and being invited. The account's pages are django-allauth's."""

from allauth import urls
from django.db import transaction
from django.urls import URLResolver, include, path
from django.views.decorators.cache import never_cache

from accounts.organizations.pages import invitations
from accounts.organizations.sign_in import two_factor

_OWN = {"mfa_activate_totp": two_factor.set_up_app}


def _as_ours(patterns: list) -> list:
    """The same, each in one transaction and kept by no browser.

    What happened and the fact that tells of it are there together or not. Codes, secrets and
    addresses are not to be had by going back after signing out.
    """
    for entry in patterns:
        if isinstance(entry, URLResolver):
            _as_ours(entry.url_patterns)
        else:
            view = _OWN.get(entry.name, entry.callback)
            entry.callback = never_cache(transaction.atomic(view))
    return patterns


urlpatterns = [
    path("account/", include(_as_ours(urls.urlpatterns))),
    path("invitations/<str:token>", invitations.page, name="invitation"),
]
