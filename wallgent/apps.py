from django.apps import AppConfig


class WallgentConfig(AppConfig):
    name = "wallgent"
    label = "wallgent"
