from allauth.account.apps import AccountConfig
from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.core.signals import request_started

from wallgent import connections


class WallgentConfig(AppConfig):
    name = "wallgent"
    label = "wallgent"
    default = True

    def ready(self):
        request_started.connect(connections.drop_dead)


class SupportConfig(admin_apps.AdminConfig):
    """Django's admin, with our own site in place of its."""

    default = False
    default_site = "wallgent.staff.site.SupportSite"


class SignInConfig(AccountConfig):
    """django-allauth's accounts, without its check for its own middleware's name.

    Ours extends that middleware so that it steps aside for the API. A test looks at what it does.
    """

    default = False

    def ready(self):
        from allauth.account import checks  # noqa: F401
