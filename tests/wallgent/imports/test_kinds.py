"""A second kind, whose objects are no links: the package needs nothing but its declaration."""

import csv
import io
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from django.conf import settings

from links.payment_links.imports.kind import KIND as LINKS
from tests import world
from tests.importing import finish
from wallgent import ids
from wallgent.errors import DomainError, NotFound
from wallgent.events import catalogue
from wallgent.events.schemas import Payload
from wallgent.http import uploads as limits
from wallgent.imports import files, kinds, results, uploads

CONTENT = b"note.color,text\nred,Buy milk\n,\nblue,refuse me\ngreen,\n"


class NoteFileConfirmed(Payload):
    rows: int


def _reader(*, actor, zone):
    def read(values):
        if not values["text"]:
            return None, [("text", "Write a text.")]
        return {"text": values["text"]}, []

    return read


@pytest.fixture
def created():
    """The texts of all created notes by id, each with the actor who created it."""
    return {}


@pytest.fixture
def notes(created, monkeypatch):
    """A registered kind."""

    def create(terms, *, actor):
        if terms["text"] == "refuse me":
            raise DomainError("Not this one.")
        id = ids.new("not")
        created[id] = (terms["text"], actor)
        return id

    kind = replace(
        LINKS,
        name="notes",
        permission="wallets:write",
        path="notes/import",
        confirmed_event="note_file.confirmed",
        columns={"text": "The text.", "note.…": "Your own."},
        required_columns=("text",),
        row_reader=_reader,
        create=create,
        summarize=lambda all_terms: [len(list(all_terms))],
        result_columns=("note_id",),
        results=lambda ids, *, actor: {id: [id] for id in ids},
        texts=replace(LINKS.texts, nouns="notes", a_noun="a note"),
    )
    monkeypatch.setattr(kinds, "_kinds", dict(kinds._kinds))
    monkeypatch.setattr(limits, "_file_paths", set(limits._file_paths))
    monkeypatch.setattr(catalogue, "_declared", dict(catalogue._declared))
    catalogue.event("note_file.confirmed")(NoteFileConfirmed)
    kinds.register(kind)
    return kind


@pytest.fixture
def member(acme):
    return world.make_member(acme, "MEMBER")


@pytest.fixture
def actor(acme, member):
    return replace(world.actor_for(acme), type="USER", id=member.id)


@pytest.fixture
def file(notes, actor):
    reading = uploads.read(CONTENT, kind=notes, actor=actor, zone=UTC)
    return uploads.store(reading, actor=actor, file_name="")


def test_its_rows_are_created_in_the_name_of_the_confirmer(file, created, actor):
    files.confirm(file, actor=actor)

    assert finish(file).status == "DONE"
    ((id, (text, creator)),) = created.items()
    assert (text, creator.id) == ("Buy milk", actor.id)
    rows = list(file.rows.order_by("number"))
    assert [row.status for row in rows] == ["CREATED", "REFUSED", "WRONG"]
    assert rows[0].object_id == id
    (event,) = world.events_of(actor.organization, "note_file.confirmed")
    assert event.data["rows"] == 2


def test_its_results_are_downloaded(file, created, actor):
    files.confirm(file, actor=actor)
    finish(file)

    text = "".join(results.csv_parts(file, actor=actor)).removeprefix("\ufeff")

    first, refused, wrong = csv.DictReader(io.StringIO(text))
    assert first["note_id"] == next(iter(created))
    assert (refused["note_id"], refused["problem"]) == ("", "Not this one.")
    assert wrong["problem"] == "text: Write a text."


def test_the_worker_checks_its_permission(file, created, actor, member, acme):
    files.confirm(file, actor=actor)
    acme.memberships.filter(user=member).update(role="VIEWER")

    assert finish(file).status == "STOPPED"
    assert not created


def test_a_file_is_found_only_as_its_own_kind(file, notes, actor):
    assert files.access(file.id, kind=notes, actor=actor) == file
    assert not files.visible_to(actor, kind=LINKS).exists()
    with pytest.raises(NotFound):
        files.access(file.id, kind=LINKS, actor=actor)


def test_nginx_accepts_files_at_the_forms_of_all_kinds():
    configuration = Path(settings.BASE_DIR, "docs", "nginx.conf").read_text()

    for kind in kinds._kinds.values():
        assert f"/{kind.path}$" in configuration


def test_its_form_accepts_files(notes, acme):
    path = f"/{acme.id}/sandbox/notes/import"

    assert limits.limits_of("POST", path).takes_file
    assert not limits.limits_of("GET", path).takes_file
    assert not limits.limits_of("POST", f"{path}/x").takes_file
    assert not limits.limits_of("POST", "/org_x/sandbox/notes/import").takes_file
