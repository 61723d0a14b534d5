#!/usr/bin/env python
"""Runs management commands."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallgent.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    from wallgent.localdev import workspace

    if sys.argv[1:2] == ["run"]:
        workspace.prepare()  # on the first start, writes the secrets that settings read
    try:
        settings.INSTALLED_APPS  # noqa: B018 - loads the settings
    except ImproperlyConfigured as error:
        sys.exit(f"Wallgent cannot start. {error}")
    execute_from_command_line(sys.argv)
