"""One's own account, and being invited. The account's pages are django-allauth's."""

from allauth import urls
from django.db import transaction
from django.urls import URLResolver, include, path

from accounts.views import invitations


def _in_one_transaction(patterns: list) -> list:
    """The same, so that what happened and the fact that tells of it are there together or not."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            _in_one_transaction(entry.url_patterns)
        else:
            entry.callback = transaction.atomic(entry.callback)
    return patterns


urlpatterns = [
    path("account/", include(_in_one_transaction(urls.urlpatterns))),
    path("invitations/<str:token>", invitations.page, name="invitation"),
]
