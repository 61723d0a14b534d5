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
        # Django would look for admin pages in wallgent.admin, which has the base class of these.
        from wallgent import due_work
        from wallgent.api import admin as api  # noqa: F401
        from wallgent.due_work import admin as due_work_admin  # noqa: F401
        from wallgent.environments import Environment
        from wallgent.events import admin as events  # noqa: F401
        from wallgent.imports import admin as imports  # noqa: F401
        from wallgent.imports import exports, worker
        from wallgent.imports.models import ImportExport, ImportFile
        from wallgent.mail import admin as mail  # noqa: F401
        from wallgent.mail import delivery, emails
        from wallgent.mail.models import Email
        from wallgent.staff import admin as staff  # noqa: F401
        from wallgent.web import pages

        due_work.register(
            worker.DUE_WORK,
            worker.create_objects,
            subject=ImportFile,
            label="Create objects of a CSV file",
            lease=worker.LEASE,
            deadline=worker.DEADLINE,
        )
        due_work.register(
            exports.DUE_WORK,
            exports.prepare_part,
            subject=ImportExport,
            label="Prepare a CSV download",
            lease=worker.LEASE,
            deadline=worker.DEADLINE,
        )
        request_started.connect(connections.close_dead)
        due_work.register(
            emails.DUE_WORK,
            delivery.send_due,
            subject=Email,
            label="Send email",
            set_size=delivery.SET_SIZE,
            lease=delivery.LEASE,
            deadline=delivery.DEADLINE,
        )
        pages.add_section(
            "mailbox",
            "Test mailbox",
            icon="mail",
            group="Developers",
            permission="payments:write",
            rank=65,
            environment=Environment.SANDBOX,
        )


class SupportConfig(admin_apps.AdminConfig):
    """Django's admin with our own site class."""

    default = False
    default_site = "wallgent.staff.site.SupportSite"


class SignInConfig(AccountConfig):
    """django-allauth's accounts app, without its system check for the middleware's name.

    Our subclass of that middleware skips the API, so the check would not find it. A test covers its
    behavior instead.
    """

    default = False

    def ready(self):
        from allauth.account import checks  # noqa: F401
