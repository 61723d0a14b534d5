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
from wallgent.errors import DomainError, PayloadTooLarge, ValidationError
from wallgent.wsgi import application as wsgi

_THREADS = 8  # each keeps a database connection; more are slower on two cores

# Who sends too much is heard out this far, for who is cut off while sending never sees our answer.
_LISTEN_BYTES = 8 * settings.BODY_LIMIT_BYTES

# An unbounded queue of chunks, so that slow readers hold no thread either.
_in_a_thread = WSGIMiddleware(wsgi, workers=_THREADS, send_queue_size=0)


class BodyTooSlow(ValidationError):
    status = 408
    message = f"The body did not arrive within {settings.BODY_DEADLINE_SECONDS} seconds."


class Disconnected(Exception):
    """The client left before it had sent its body."""


async def application(scope, receive, send):
    """The ASGI entry point."""
    if scope["type"] != "http":
        await _in_a_thread(scope, receive, send)  # answers lifespan, refuses WebSockets
        return
    try:
        body = await _read(scope, receive)
    except Disconnected:
        return
    except DomainError as refusal:
        await _refuse(refusal, send)
        return
    await _in_a_thread(_fit_for_wsgi(scope, body), _replay(body), send)


async def _read(scope, receive) -> bytes:
    limit = settings.BODY_LIMIT_BYTES
    if int(dict(scope["headers"]).get(b"content-length", 0)) > _LISTEN_BYTES:
        raise PayloadTooLarge()
    body, size, more = bytearray(), 0, True
    try:
        async with asyncio.timeout(settings.BODY_DEADLINE_SECONDS):
            while more and size <= _LISTEN_BYTES:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Disconnected()
                part = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(part)
                if size <= limit:
                    body += part
    except TimeoutError:
        raise BodyTooSlow() from None
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
