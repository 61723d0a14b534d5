from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "wallgent.events"
    label = "events"
