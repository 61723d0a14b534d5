"""Static files, served in front of Django."""

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
_MIN_COMPRESSED_BYTES = 200  # bytes; below, the overhead of gzip exceeds the gain
_TEXT = (".css", ".js", ".mjs", ".svg", ".json", ".txt")


class StaticFiles(ServeStatic):
    """Serves the files of static/ and the apps from their folders, without collectstatic.

    In development a changed file is served at once; in production the files are listed when the
    server starts. Text is compressed for clients that accept it, once, at the first request.
    """

    def __init__(self, application):
        super().__init__(
            application,
            autorefresh=settings.DEVELOPMENT,
            max_age=0 if settings.DEVELOPMENT else _MAX_AGE_SECONDS,
            allow_all_origins=False,
            add_headers_function=_add_headers,
        )
        # The first finder takes precedence, but with ServeStatic the last added folder does.
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
    """A text file with the interface of servestatic, which calls only `get_response`."""

    def __init__(self, file: StaticFile, path: Path):
        self._file = file
        self._path = path

    def get_response(self, method: str, headers) -> Response:
        response = self._file.get_response(method, headers)
        accepted = parse_accept_encoding(headers.get("HTTP_ACCEPT_ENCODING", ""))
        # A range refers to the uncompressed file, and "not modified" has no body.
        if "gzip" not in accepted or response.status != HTTPStatus.OK:
            return response
        body = _gzipped(self._path, self._path.stat().st_mtime_ns)
        if body is None:
            return response
        if response.file:
            response.file.close()
        headers = [item for item in response.headers if item[0] != "Content-Length"]
        headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        return Response(HTTPStatus.OK, headers, BytesIO(body) if method == "GET" else None)


@lru_cache(maxsize=512)
def _gzipped(path: Path, changed_at: int) -> bytes | None:
    """Return the compressed file, or None if compression gains nothing."""
    plain = path.read_bytes()
    body = gzip.compress(plain, mtime=0)
    return body if len(plain) >= _MIN_COMPRESSED_BYTES and len(body) < len(plain) else None


def _storages() -> list:
    return [storage for finder in get_finders() for storage in finder.storages.values()]


def _add_headers(headers, path, url) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    if path.endswith(_TEXT):
        headers["Vary"] = "Accept-Encoding"
