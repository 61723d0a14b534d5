from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "wallgent.api"
    label = "api"
