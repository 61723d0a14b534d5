"""The environments, sandbox and production. Money never moves between them."""

from django.db import models


class Environment(models.TextChoices):
    SANDBOX = "SANDBOX", "Sandbox"
    PRODUCTION = "PRODUCTION", "Production"


class EnvironmentField(models.CharField):
    """A column that holds SANDBOX or PRODUCTION."""

    def __init__(self, **options):
        super().__init__(**options | {"max_length": 10, "choices": Environment})

    def deconstruct(self):
        name, path, args, options = super().deconstruct()
        del options["max_length"], options["choices"]
        return name, path, args, options
