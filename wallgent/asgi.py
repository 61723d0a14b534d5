"""The ASGI entry point: an event loop that passes complete requests to threads of the WSGI app.

Django's own ASGI handler costs synchronous views most of their throughput. The body is read here,
with a size limit and a deadline, before a thread is used, so slow senders occupy no thread.
"""

import asyncio
import json
from string import punctuation
from urllib.parse import quote

from a2wsgi import WSGIMiddleware
from django.conf import settings

from wallgent import ids
from wallgent.errors import DomainError, PayloadTooLarge, ServiceUnavailable, ValidationError
from wallgent.http import uploads
from wallgent.wsgi import application as wsgi

_THREADS = 8  # each keeps a database connection; more are slower on two cores

# A body that is too large is read this far: a client cut off while sending never sees our response.
_MAX_READ_BYTES = 8 * settings.BODY_LIMIT_BYTES

# Uploads larger than the normal body limit that may be in memory at once. Others must try again.
_MAX_UPLOADS = 4

# An unbounded queue of chunks, so that slow readers occupy no thread either.
_wsgi_in_threads = WSGIMiddleware(wsgi, workers=_THREADS, send_queue_size=0)


class BodyTooSlow(ValidationError):
    status = 408


class Disconnected(Exception):
    """The client disconnected before it had sent its body."""


async def application(scope, receive, send):
    """Serve one request."""
    if scope["type"] != "http":
        await _wsgi_in_threads(scope, receive, send)  # handles lifespan, refuses WebSockets
        return
    limits, slot = uploads.limits_of(scope["method"], scope["path"]), _UploadSlot()
    try:
        body = await _read(scope, receive, limits, slot)
        await _wsgi_in_threads(_wsgi_scope(scope, body), _receive_from(body), send)
    except Disconnected:
        return
    except DomainError as error:
        parameter = _FORM_ERRORS.get(type(error)) if limits.takes_file else None
        if parameter:
            await _redirect_to_form(scope, send, parameter)
        else:
            await _send_error(error, send)
    finally:
        slot.release()


# The query parameters with which the upload form shows an error.
_FORM_ERRORS = {PayloadTooLarge: b"too-large", ServiceUnavailable: b"busy"}


class _UploadSlot:
    """One of the slots for large uploads, held from the second megabyte until the response."""

    used = 0

    def __init__(self):
        self._is_held = False

    def acquire(self) -> None:
        if self._is_held:
            return
        if _UploadSlot.used >= _MAX_UPLOADS:
            raise ServiceUnavailable("Many files arrive at this moment. Send yours again.")
        self._is_held = True
        _UploadSlot.used += 1

    def release(self) -> None:
        _UploadSlot.used -= self._is_held
        self._is_held = False


async def _read(scope, receive, limits: uploads.Limits, slot: _UploadSlot) -> bytes:
    """Return the body. Raises PayloadTooLarge, BodyTooSlow, ServiceUnavailable or Disconnected."""
    limit = limits.bytes
    if int(dict(scope["headers"]).get(b"content-length", 0)) > _MAX_READ_BYTES:
        raise PayloadTooLarge()
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(limits.seconds):
            while more and size <= _MAX_READ_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected()
                part = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                if limit >= size > settings.BODY_LIMIT_BYTES:
                    slot.acquire()
                if size <= limit:
                    body += part
    except TimeoutError:
        message = f"The body did not arrive within {limits.seconds} seconds."
        raise BodyTooSlow(message) from None
    if size > limit:
        raise PayloadTooLarge()
    return bytes(body)


def _wsgi_scope(scope, body: bytes) -> dict:
    """Return the scope of a request whose body is complete, safe to convert to a WSGI environ."""
    # In WSGI a_b and a-b are the same header, so a client could forge a header that a proxy sets.
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if b"_" not in name and name not in (b"content-length", b"transfer-encoding")
    ]
    # Django reads as many bytes as Content-Length says, and a chunked body has no such header.
    headers.append((b"content-length", str(len(body)).encode()))
    query = quote(scope["query_string"], safe=punctuation).encode()  # raw bytes beyond ASCII
    return scope | {"headers": headers, "query_string": query}


def _receive_from(body: bytes):
    """Return a receive function for a body that was read before."""

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _redirect_to_form(scope, send, parameter: bytes) -> None:
    path = quote(scope["path"]).encode() + b"?" + parameter + b"=1"
    headers = [(b"location", path), (b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_error(error: DomainError, send) -> None:
    body = json.dumps({"error": {"code": error.code, "message": error.message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # the rest of the body is still on its way
        (b"x-request-id", ids.new("req").encode()),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
