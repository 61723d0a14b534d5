"""Style sheets, scripts and pictures: served in front of Django, which never hears of them."""

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStatic

_MAX_AGE_SECONDS = 300


class StaticFiles(ServeStatic):
    """Serves what static/ and the apps hold, from where it lies: nothing is collected before.

    In development a changed file is served at once; else all are listed when the server starts.
    """

    def __init__(self, application):
        super().__init__(
            application,
            autorefresh=settings.DEVELOPMENT,
            max_age=0 if settings.DEVELOPMENT else _MAX_AGE_SECONDS,
            allow_all_origins=False,
            add_headers_function=_no_guessing,
        )
        # Of two files with one name the first found is served; here the last added is.
        for storage in reversed(_storages()):
            prefix = getattr(storage, "prefix", "")  # only entries of STATICFILES_DIRS have one
            self.add_files(storage.location, f"{settings.STATIC_URL}{prefix}")

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].startswith(settings.STATIC_URL):
            return super().__call__(environ, start_response)
        return self.application(environ, start_response)


def _storages() -> list:
    return [storage for finder in get_finders() for storage in finder.storages.values()]


def _no_guessing(headers, path, url) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
