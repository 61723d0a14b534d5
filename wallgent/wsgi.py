"""The WSGI entry point, which production serves behind a buffering reverse proxy."""

import gc
import io
import os
from email.utils import quote

from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

from wallgent.http import uploads
from wallgent.http.static_files import StaticFiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "wallgent.settings")
_TYPE_LENGTH = 1_000  # of a Content-Type: a browser's has some 70 letters
_application = StaticFiles(get_wsgi_application())

# The modules loaded by now are never freed. Without the freeze each full collection would walk them
# for some 70 ms.
gc.collect()
gc.freeze()


def application(environ, start_response):
    """Serve one request."""
    _read_body(environ)
    _drop_charset(environ)
    response = _application(environ, start_response)
    try:
        # A whole response in a list is sent by the server's own loop. Of an iterator, it asks for
        # each part when the one before has been received: a slow reader would hold the thread.
        return [b"".join(response)]
    finally:
        if hasattr(response, "close"):
            response.close()


def _read_body(environ) -> None:
    """Read the body even when the request is refused without it.

    The server closes a connection whose body was not read, sometimes before the client, which may
    be our proxy, has read the response.
    """
    length = environ.get("CONTENT_LENGTH") or "0"
    limit = uploads.limits_of(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")).bytes
    if length.isdecimal() and 0 < int(length) <= limit:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(length)))


def _drop_charset(environ) -> None:
    """Remove the charset from the content type: all text is UTF-8.

    Django would decode even the query with it, before any view or middleware runs; a codec that is
    not for text, such as base64, would end that in a bare 500.
    """
    content_type = environ.get("CONTENT_TYPE", "")
    if len(content_type) > _TYPE_LENGTH:  # reading its parameters is quadratic in their number
        environ["CONTENT_TYPE"] = ""
        return
    if ";" not in content_type:
        return
    try:
        media_type, parameters = parse_header_parameters(content_type)
    except ValueError:
        media_type, parameters = "", {}
    if boundary := parameters.get("boundary"):
        media_type += f'; boundary="{quote(boundary)}"'
    environ["CONTENT_TYPE"] = media_type
