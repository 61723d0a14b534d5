"""All of HTTP. Production serves this behind a buffering reverse proxy."""

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

# What is loaded now stays for good. Left in, each full collection would walk it for some 70 ms.
gc.collect()
gc.freeze()


def application(environ, start_response):
    """The WSGI entry point."""
    _hear_out(environ)
    _read_as_utf8(environ)
    answer = _application(environ, start_response)
    try:
        # A whole answer in a list is sent by the server's own loop. Of an iterator, it asks for
        # each part when the one before has been received: a slow reader would hold the thread.
        return [b"".join(answer)]
    finally:
        if hasattr(answer, "close"):
            answer.close()


def _hear_out(environ) -> None:
    """Read the body, even for who is refused without it.

    The server closes the connection of a client that it has not heard out, sometimes before the
    client, which may be our proxy, has read the answer.
    """
    announced = environ.get("CONTENT_LENGTH") or "0"
    limit = uploads.limits_of(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")).bytes
    if announced.isdecimal() and 0 < int(announced) <= limit:
        environ["wsgi.input"] = io.BytesIO(environ["wsgi.input"].read(int(announced)))


def _read_as_utf8(environ) -> None:
    """Forget which encoding a client names: all text here is UTF-8.

    Django would read even the query in it, before anything could answer; a name of what encodes no
    text, such as base64, ends that in a bare 500.
    """
    said = environ.get("CONTENT_TYPE", "")
    if len(said) > _TYPE_LENGTH:  # reading its parameters is quadratic in their number
        environ["CONTENT_TYPE"] = ""
        return
    if ";" not in said:
        return
    try:
        kind, named = parse_header_parameters(said)
    except ValueError:
        kind, named = "", {}
    if boundary := named.get("boundary"):
        kind += f'; boundary="{quote(boundary)}"'
    environ["CONTENT_TYPE"] = kind
