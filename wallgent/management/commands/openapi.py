"""Writes the OpenAPI document to docs/openapi.json, the copy that tests compare it with."""

import json

from django.conf import settings
from django.core.management.base import BaseCommand

from wallgent import openapi


class Command(BaseCommand):
    help = "Write docs/openapi.json."

    def handle(self, **options):
        text = json.dumps(openapi.document(), indent=1, ensure_ascii=False)
        (settings.BASE_DIR / "docs" / "openapi.json").write_text(f"{text}\n")
