"""All of HTTP. Production serves this behind a buffering reverse proxy."""

import os

from django.core.wsgi import get_wsgi_application

from wallgent.static import StaticFiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallgent.settings")
application = StaticFiles(get_wsgi_application())
