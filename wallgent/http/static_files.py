"""Style sheets, scripts and pictures: served in front of Django, which never hears of them."""

import gzip
from functools import lru_cache
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStatic
from servestatic.responders import Response, StaticFile
from servestatic.utils import parse_accept_encoding

_MAX_AGE_SECONDS = 300
_SMALLEST = 200  # bytes; below, the envelope takes what compressing gains
_TEXT = (".css", ".js", ".mjs", ".svg", ".json", ".txt")


class StaticFiles(ServeStatic):
    """Serves what static/ and the apps hold, from where it lies: nothing is collected before.

    In development a changed file is served at once; else all are listed when the server starts.
    Text goes compressed to who takes it so, compressed once, when first asked for.
    """

    def __init__(self, application):
        super().__init__(
            application,
            autorefresh=settings.DEVELOPMENT,
            max_age=0 if settings.DEVELOPMENT else _MAX_AGE_SECONDS,
            allow_all_origins=False,
            add_headers_function=_own_headers,
        )
        # Of two files with one name the first found is served; here the last added is.
        for storage in reversed(_storages()):
            prefix = getattr(storage, "prefix", "")  # only entries of STATICFILES_DIRS have one
            self.add_files(storage.location, f"{settings.STATIC_URL}{prefix}")

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].startswith(settings.STATIC_URL):
            return super().__call__(environ, start_response)
        return self.application(environ, start_response)

    def get_static_file(self, path, url, stat_cache=None):
        file = super().get_static_file(path, url, stat_cache)
        return _Compressed(file, Path(path)) if path.endswith(_TEXT) else file


class _Compressed:
    """A file of text, as the servers' interface wants it: `get_response` is all they call."""

    def __init__(self, file: StaticFile, path: Path):
        self._file = file
        self._path = path

    def get_response(self, method: str, headers) -> Response:
        answer = self._file.get_response(method, headers)
        accepted = parse_accept_encoding(headers.get("HTTP_ACCEPT_ENCODING", ""))
        # A part of a file is a part of what lies on the disk, and "not modified" has no body.
        if "gzip" not in accepted or answer.status != HTTPStatus.OK:
            return answer
        body = _gzipped(self._path, self._path.stat().st_mtime_ns)
        if body is None:
            return answer
        if answer.file:
            answer.file.close()
        kept = [(name, value) for name, value in answer.headers if name != "Content-Length"]
        kept += [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        return Response(HTTPStatus.OK, kept, BytesIO(body) if method == "GET" else None)


@lru_cache(maxsize=512)
def _gzipped(path: Path, changed_at: int) -> bytes | None:
    """The file compressed, or None where that gains nothing."""
    plain = path.read_bytes()
    body = gzip.compress(plain, mtime=0)
    return body if len(plain) >= _SMALLEST and len(body) < len(plain) else None


def _storages() -> list:
    return [storage for finder in get_finders() for storage in finder.storages.values()]


def _own_headers(headers, path, url) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if path.endswith(_TEXT):
        headers["Vary"] = "Accept-Encoding"
