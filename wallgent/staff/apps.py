from django.apps import AppConfig


class StaffConfig(AppConfig):
    name = "wallgent.staff"
    label = "staff"
    verbose_name = "Staff"
