"""Fixtures and verbs for tests of CSV imports, with payment links as the kind of object."""

from datetime import UTC

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from links.payment_links.imports.kind import KIND
from tests import due, world
from wallgent import ids
from wallgent.imports import uploads, worker
from wallgent.imports.models import ImportFile

HEAD = "direction,wallet,amount,currency,description,email,expires_at,max_uses,metadata.invoice"


def store(actor, content: str | bytes, *, zone=UTC) -> ImportFile:
    """Upload a file of links, without a page."""
    content = content if isinstance(content, bytes) else content.encode()
    reading = uploads.read(content, kind=KIND, actor=actor, zone=zone)
    return uploads.store(reading, actor=actor, file_name="links.csv")


def finish(file: ImportFile) -> ImportFile:
    """Process all rows of confirmed files, as the worker would."""
    while due.work(worker.DUE_WORK):
        pass
    file.refresh_from_db()
    return file


def refusal_of(answer) -> str:
    """The error beside the file, of an upload that stored nothing."""
    assert answer.status_code == 422
    assert not ImportFile.objects.exists()
    return " ".join(answer.context["form"].errors["file"])


@pytest.fixture
def ada(acme):
    return world.make_member(acme, "MEMBER")


@pytest.fixture
def browser(ada):
    return world.browser(ada)


@pytest.fixture
def at(acme):
    """The path of the upload page, or of a page below it."""

    def at(*rest, environment="sandbox"):
        return "/".join([f"/{acme.id}/{environment}/payment-links/bulk", *rest])

    return at


@pytest.fixture
def send(browser, at, wallet):
    """Upload a file through the page; the response."""

    def send(content, name="links.csv", **options):
        if isinstance(content, str):
            content = content.encode()
        file = SimpleUploadedFile(name, content, content_type="text/csv")
        return browser.post(at(), {"submission": ids.new("sub"), "file": file}, **options)

    return send


@pytest.fixture
def read(acme, wallet):
    """Upload a file without a page; its stored rows."""

    def read(text, **options):
        return list(store(world.actor_for(acme), text, **options).rows.order_by("number"))

    return read


@pytest.fixture
def order(send, browser, at):
    """Upload a file and confirm it; the file."""

    def order(text):
        answer = send(text)
        assert answer.status_code == 302, answer.text
        file = ImportFile.objects.latest("pk")
        answer = browser.post(at(file.id), {"submission": ids.new("sub")})
        assert (answer.status_code, answer.url) == (303, at(file.id))
        return file

    return order
