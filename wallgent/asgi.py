"""HTTP, served by an event loop that hands each whole request to a thread of the WSGI application.

Django's own ASGI handler costs synchronous views most of their throughput. A body is read here,
with a limit and a deadline, before it takes a thread: so slow senders hold none.
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

# Who sends too much is heard out this far, for who is cut off while sending never sees our answer.
_LISTEN_BYTES = 8 * settings.BODY_LIMIT_BYTES

# Files that are larger than any other body, in memory at a time. Who comes then is asked to wait.
_FILES_AT_ONCE = 4

# An unbounded queue of chunks, so that slow readers hold no thread either.
_in_a_thread = WSGIMiddleware(wsgi, workers=_THREADS, send_queue_size=0)


class BodyTooSlow(ValidationError):
    status = 408


class Disconnected(Exception):
    """The client left before it had sent its body."""


async def application(scope, receive, send):
    """The ASGI entry point."""
    if scope["type"] != "http":
        await _in_a_thread(scope, receive, send)  # answers lifespan, refuses WebSockets
        return
    limits, place = uploads.limits_of(scope["method"], scope["path"]), _Place()
    try:
        body = await _read(scope, receive, limits, place)
        await _in_a_thread(_fit_for_wsgi(scope, body), _replay(body), send)
    except Disconnected:
        return
    except DomainError as refusal:
        why = _ON_THE_FORM.get(type(refusal)) if limits.takes_file else None
        if why:
            await _lead_back(scope, send, why)  # a person reads it, on the page of the form
        else:
            await _refuse(refusal, send)
    finally:
        place.leave()


# What the form for a file says by itself.
_ON_THE_FORM = {PayloadTooLarge: b"too-large", ServiceUnavailable: b"busy"}


class _Place:
    """One of the few for a large file, from its second megabyte until it is answered."""

    taken = 0

    def __init__(self):
        self._is_mine = False

    def take(self) -> None:
        if self._is_mine:
            return
        if _Place.taken >= _FILES_AT_ONCE:
            raise ServiceUnavailable("Many files arrive at this moment. Send yours again.")
        self._is_mine = True
        _Place.taken += 1

    def leave(self) -> None:
        _Place.taken -= self._is_mine
        self._is_mine = False


async def _read(scope, receive, limits: uploads.Limits, place: _Place) -> bytes:
    limit = limits.bytes
    if int(dict(scope["headers"]).get(b"content-length", 0)) > _LISTEN_BYTES:
        raise PayloadTooLarge()
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(limits.seconds):
            while more and size <= _LISTEN_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected()
                part = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                if limit >= size > settings.BODY_LIMIT_BYTES:
                    place.take()
                if size <= limit:
                    body += part
    except TimeoutError:
        message = f"The body did not arrive within {limits.seconds} seconds."
        raise BodyTooSlow(message) from None
    if size > limit:
        raise PayloadTooLarge()
    return bytes(body)


def _fit_for_wsgi(scope, body: bytes) -> dict:
    # In WSGI a_b and a-b are one header, so the former could pass for what a proxy sets.
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if b"_" not in name and name not in (b"content-length", b"transfer-encoding")
    ]
    # Django reads as many bytes as are announced, and a body in chunks announces none.
    headers.append((b"content-length", str(len(body)).encode()))
    query = quote(scope["query_string"], safe=punctuation).encode()  # raw bytes beyond ASCII
    return scope | {"headers": headers, "query_string": query}


def _replay(body: bytes):
    """A receive function over a body that is here already."""

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _lead_back(scope, send, why: bytes) -> None:
    path = quote(scope["path"]).encode() + b"?" + why + b"=1"
    headers = [(b"location", path), (b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(refusal: DomainError, send) -> None:
    answer = json.dumps({"error": {"code": refusal.code, "message": refusal.message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
        (b"connection", b"close"),  # the rest of the body is still on its way
        (b"x-request-id", ids.new("req").encode()),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
