"""The kinds of objects that CSV files create. Each package declares its own, at start."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Protocol

from wallgent.actors import Actor
from wallgent.http import uploads
from wallgent.imports.models import ImportFile

# A column, or an empty string for the whole row, and what to do about it.
Problem = tuple[str, str]
# (values by column) -> the terms of one object, as JSON, and an empty list; or None and problems.
ReadRow = Callable[[dict[str, str]], tuple[dict | None, list[Problem]]]


class RowReader(Protocol):
    def __call__(self, *, actor: Actor, zone: tzinfo) -> ReadRow:
        """How the rows of one file are read. Times without a zone are in `zone`."""


class Create(Protocol):
    def __call__(self, terms: dict, *, actor: Actor) -> str:
        """Create one object from the terms of a row; its id. A DomainError refuses the row."""


class Results(Protocol):
    def __call__(self, object_ids: list[str], *, actor: Actor) -> dict[str, list[str]]:
        """By object id, what `result_columns` hold, as far as the actor may know it."""


class Preview(Protocol):
    def __call__(self, file: ImportFile, *, actor: Actor) -> dict:
        """The context of `preview_template`, from the file's `summary`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What pages and refusals say about a kind. Nouns are in lower case."""

    noun: str
    a_noun: str
    nouns: str
    default_file_name: str
    title: str
    lead: str
    parent: str
    locked: str
    required: str
    before_confirming: str
    after_creating: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object. Its package declares it once, for pages, worker and downloads."""

    name: str  # stored with each file
    permission: str  # to upload, see and confirm; the worker checks it again for the confirmer
    path: str  # of the form, below organization and environment
    upload_page: str  # URL names: the form and the list of files,
    file_page: str  # one file,
    object_page: str  # a created object,
    parent_page: str  # and the list that links to the form
    confirmed_event: str  # recorded with `rows`, the number of rows to create
    # What to write in each column. A name that ends in "…" begins the names of the owner's own
    # columns.
    columns: dict[str, str]
    required_columns: tuple[str, ...]
    row_reader: RowReader
    create: Create
    summarize: Callable[[Iterable[dict]], list]  # the terms of all good rows, for the preview
    preview: Preview
    preview_template: str
    example: Callable[[Actor], list[list[str]]]  # a small valid file
    result_columns: tuple[str, ...]  # what a downloaded file adds about a created object
    results: Results
    texts: Texts


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Declare a kind. Called once for each, at start."""
    assert kind.name not in _kinds, f"{kind.name} is declared twice"
    _kinds[kind.name] = kind
    uploads.accept_files(kind.path)


def of(file: ImportFile) -> Kind:
    """The kind of a file."""
    return _kinds[file.kind]
