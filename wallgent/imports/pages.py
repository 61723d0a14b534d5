"""The pages of CSV files: upload, preview, confirmation, progress, download; for all kinds."""

from functools import partial

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django_htmx.http import reselect, retarget
from servestatic.utils import parse_accept_encoding

from wallgent import service_runner
from wallgent.errors import DomainError
from wallgent.http import long_requests
from wallgent.imports import exports, files, rows, tables, uploads
from wallgent.imports.forms import NOT_RECEIVED, ConfirmForm, FileForm, RowFilters
from wallgent.imports.kinds import Kind
from wallgent.imports.models import ImportExport, ImportFile, ImportRow
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_PROGRESS = "progress"  # the part of a file's page that polls
_EXPORT = "export"  # the part of the download's page that polls

_FILE_COLUMNS = {
    "file": Column(label="File", sort="file_name"),
    "status": Column(label="Status", sort="status"),
    "sent": Column(label="Sent", sort="pk"),
}
_ROW_COLUMNS = {
    "number": Column(label="Row", sort="number"),
    "status": Column(label="Status", sort="status"),
    "cells": Column(label="What the file says"),
}


def paths(kind: Kind) -> list[URLPattern]:
    """The URL patterns of a kind's two pages, below organization and environment."""
    page = dashboard(kind.parent_page, GET=kind.permission, POST=kind.permission)
    return [
        path(kind.path, page(partial(_index, kind=kind)), name=kind.upload_page),
        path(f"{kind.path}/<str:id>", page(partial(_show, kind=kind)), name=kind.file_page),
    ]


def _index(request, *, kind: Kind):
    """The form for a new file, and the files uploaded before."""
    form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
    if request.method == "POST" and form.is_valid():
        with long_requests.place(request.actor):
            file = _upload(request, form, kind)
        if file:
            return redirect(pages.to(request, kind.file_page, id=file.id))
    context = {
        "form": form,
        "kind": kind,
        # The server redirects here from uploads that it does not read to their end.
        "not_received": next((NOT_RECEIVED[why] for why in NOT_RECEIVED if why in request.GET), ""),
        "is_locked": request.actor.is_locked,
        "example": tables.to_csv(kind.example(request.actor)).replace("\r\n", "\n"),
        "listing": Listing(
            request,
            files.visible_to(request.actor, kind=kind),
            columns=_FILE_COLUMNS,
            default="-sent",
        ),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "wallgent/imports/upload.html", context, status=status)


def _upload(request, form: FileForm, kind: Kind) -> ImportFile | None:
    actor, file = request.actor, form.cleaned_data["file"]
    zone = timezone.get_current_timezone()
    try:
        reading = uploads.read(file.read(), kind=kind, actor=actor, zone=zone)
        store = partial(uploads.store, reading, actor=actor, file_name=file.name)
        return service_runner.run(store, actor=actor)
    except DomainError as refusal:
        form.refuse(refusal)
        return None


def _show(request, id, *, kind: Kind):
    """A file: its rows and what is wrong with them, then its progress, then its results."""
    file = files.access(id, kind=kind, actor=request.actor)
    if request.method != "POST" and "download" in request.GET:
        return _download(request, file, kind, _variant(request.GET["download"]))
    if request.method != "POST" and "preparing" in request.GET:
        return _preparing(request, file, kind, _variant(request.GET["preparing"]))
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: files.confirm(
                file, actor=request.actor, warned_of=form.cleaned_data["warned_of"]
            ),
            done=lambda file: pages.to(request, kind.file_page, id=file.id),
        )
        if answer:
            return answer
    status = pages.UNPROCESSABLE if form.errors else 200
    is_polling = bool(request.htmx) and request.htmx.target == _PROGRESS
    if is_polling and file.status == ImportFile.Status.CREATING:
        context = _progress(request, file, kind)
        return pages.render(request, "wallgent/imports/_progress.html", context)
    context = _context(request, file, kind) | {"form": form}
    response = pages.render(request, "wallgent/imports/file.html", context, status=status)
    return reselect(retarget(response, "#rows"), "#rows") if is_polling else response


def _progress(request, file: ImportFile, kind: Kind) -> dict:
    counts = files.counts(file)
    to_create = counts["ALL"] - counts["WRONG"]
    return {
        "file": file,
        "kind": kind,
        "counts": counts,
        "to_create": to_create,
        "processed": to_create - counts["READY"],
        "left_out": counts["ALL"] - counts["CREATED"],
        "is_creating": file.status == ImportFile.Status.CREATING,
        "path": request.path,
    }


def _context(request, file: ImportFile, kind: Kind) -> dict:
    columns = rows.match_columns(file.columns, kind=kind)
    listing = Listing(
        request, file.rows.all(), columns=_ROW_COLUMNS, default="number", filters=RowFilters
    )
    context = _progress(request, file, kind) | {
        "listing": listing,
        "rows": [_row(file.columns, columns, row) for row in listing.rows],
    }
    if file.status != ImportFile.Status.DRAFT:
        return context
    return context | {
        "preview": kind.preview(file, actor=request.actor),
        "used_before": files.used_before(file),
    }


def _row(headings: list[str], columns: list[str], row: ImportRow) -> dict:
    """A row as it is shown: each cell that is not empty, with its heading."""
    wrong = {column for column, _ in row.problems}
    return {
        "row": row,
        "cells": [
            {
                "column": heading,
                "text": cell,
                "is_wrong": column in wrong,
                "is_formula": tables.is_formula(cell),
            }
            for heading, column, cell in zip(headings, columns, row.cells, strict=False)
            if cell
        ],
        "problems": row.problems,
    }


def _download(request, file: ImportFile, kind: Kind, variant: str) -> HttpResponse:
    """The CSV file, or a redirect to the page that waits for it."""
    with long_requests.place(request.actor):
        if exports.is_short(file, variant=variant):
            content = exports.short_content(file, variant=variant, actor=request.actor)
            return _attachment(HttpResponse(content, content_type="text/csv"), file, variant)
        request_export = partial(exports.request, file, variant=variant, actor=request.actor)
        export = service_runner.run(request_export, actor=request.actor)
        if export.status != ImportExport.Status.READY:
            return redirect(f"{pages.to(request, kind.file_page, id=file.id)}?preparing={variant}")
        content = exports.content(export)
        accepts_gzip = "gzip" in parse_accept_encoding(request.headers.get("Accept-Encoding", ""))
        if not accepts_gzip:
            content = exports.uncompressed(content)
        response = HttpResponse(content, content_type="text/csv")
        if accepts_gzip:
            response.headers["Content-Encoding"] = "gzip"
        patch_vary_headers(response, ["Accept-Encoding"])
        return _attachment(response, file, variant)


def _attachment(response: HttpResponse, file: ImportFile, variant: str) -> HttpResponse:
    name = file.id if variant == ImportExport.Variant.ALL else f"{file.id}-{variant}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response.headers["Content-Length"] = str(len(response.content))
    return response


def _preparing(request, file: ImportFile, kind: Kind, variant: str) -> HttpResponse:
    """The progress of an export, then its link."""
    context = {
        "file": file,
        "kind": kind,
        "export": exports.find(file, variant=variant, actor=request.actor),
        "path": request.path,
    }
    is_polling = bool(request.htmx) and request.htmx.target == _EXPORT
    name = "_download" if is_polling else "download"
    return pages.render(request, f"wallgent/imports/{name}.html", context)


def _variant(text: str) -> str:
    """The variant that a URL names; anything unknown is the whole file."""
    return text if text in ImportExport.Variant.values else ImportExport.Variant.ALL.value
