from django.apps import AppConfig


class IssuingConfig(AppConfig):
    name = "issuing"

    def ready(self):
        from issuing import events  # noqa: F401
