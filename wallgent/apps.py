from django.apps import AppConfig
from django.core.signals import request_started

from wallgent import connections


class WallgentConfig(AppConfig):
    name = "wallgent"
    label = "wallgent"

    def ready(self):
        request_started.connect(connections.drop_dead)
