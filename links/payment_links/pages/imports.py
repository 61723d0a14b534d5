"""Files of links: sent, looked at, confirmed; then one watches them being made."""

from decimal import Decimal
from functools import partial

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django_htmx.http import reselect, retarget
from servestatic.utils import parse_accept_encoding

from accounts.activity import overview
from accounts.wallets.models import Wallet
from links.payment_links.forms.imports import STOPPED, ConfirmForm, FileForm, RowFilters
from links.payment_links.models import BatchExport, BatchRow, LinkBatch
from links.payment_links.services import (
    import_exports,
    import_files,
    import_rows,
    import_uploads,
    imports,
)
from wallgent import clock, service_runner
from wallgent.errors import DomainError
from wallgent.http import long_requests
from wallgent.web import pages
from wallgent.web.access import dashboard
from wallgent.web.listing import Column, Listing

_PROGRESS = "progress"  # the part of a file's page that asks again by itself
_EXPORT = "export"  # the same of the page on which one waits for a file to download

_FILE_COLUMNS = {
    "file": Column(label="File", sort="file_name"),
    "status": Column(label="Status", sort="status"),
    "sent": Column(label="Sent", sort="pk"),
}
_COLUMNS = {
    "number": Column(label="Row", sort="number"),
    "status": Column(label="Status", sort="status"),
    "cells": Column(label="What the file says"),
}


@dashboard(GET="payments:write", POST="payments:write")
def index(request):
    """A new file of links, and those sent before."""
    form = FileForm(request.POST, request.FILES) if request.method == "POST" else FileForm()
    if request.method == "POST" and form.is_valid():
        with long_requests.place(request.actor):
            batch = _upload(request, form)
        if batch:
            return redirect(pages.to(request, "payment-link-batch", id=batch.id))
    context = {
        "form": form,
        # Whoever is stopped on the way never comes as far as the form: the server leads them here.
        "stopped": next((STOPPED[why] for why in STOPPED if why in request.GET), ""),
        "is_locked": overview.is_locked(request.actor),
        "columns": import_rows.COLUMNS,
        "example": _example(request.actor),
        "listing": Listing(
            request, imports.visible_to(request.actor), columns=_FILE_COLUMNS, default="-sent"
        ),
    }
    status = pages.UNPROCESSABLE if form.errors else 200
    return pages.render(request, "links/payment_links/import_new.html", context, status=status)


def _example(actor) -> str:
    """A small file that would do as it is."""
    wallet = Wallet.objects.visible_to(actor).order_by("-is_default", "pk").first()
    name = wallet.name if wallet else "Main wallet"
    year = clock.now(actor).year + 1
    return import_files.written(
        [
            ["direction", "wallet", "amount", "description", "expires_at", "metadata.invoice"],
            ["SEND", name, "25.00", "Prize for the best talk", f"{year}-06-30", "A-17"],
            ["RECEIVE", name, "120.00", "Rent for May", "", "A-18"],
        ]
    ).replace("\r\n", "\n")


def _upload(request, form: FileForm) -> LinkBatch | None:
    actor, file = request.actor, form.cleaned_data["file"]
    try:
        reading = import_uploads.read(
            file.read(), actor=actor, zone=timezone.get_current_timezone()
        )
        keep = partial(import_uploads.keep, reading, actor=actor, file_name=file.name)
        return service_runner.run(keep, actor=actor)
    except DomainError as refusal:
        form.refuse(refusal)
        return None


@dashboard(GET="payments:write", POST="payments:write")
def show(request, id):
    """A file: its rows and what is wrong with them, then how far it is, then what became of it."""
    batch = imports.access(id, actor=request.actor)
    if request.method != "POST" and "download" in request.GET:
        return _download(request, batch, _variant(request.GET["download"]))
    if request.method != "POST" and "preparing" in request.GET:
        return _preparing(request, batch, _variant(request.GET["preparing"]))
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        answer = pages.submit(
            request,
            form,
            lambda: imports.confirm(
                batch, actor=request.actor, warned_of=form.cleaned_data["warned_of"]
            ),
            done=lambda batch: pages.to(request, "payment-link-batch", id=batch.id),
        )
        if answer:
            return answer
    status = pages.UNPROCESSABLE if form.errors else 200
    is_asked_again = bool(request.htmx) and request.htmx.target == _PROGRESS
    if is_asked_again and batch.status == LinkBatch.Status.CREATING:
        return pages.render(
            request, "links/payment_links/_import_progress.html", _progress(request, batch)
        )
    context = _context(request, batch) | {"form": form}
    response = pages.render(request, "links/payment_links/import.html", context, status=status)
    return reselect(retarget(response, "#rows"), "#rows") if is_asked_again else response


def _progress(request, batch: LinkBatch) -> dict:
    """How far a file is."""
    counts = imports.counts(batch)
    to_make = counts["ALL"] - counts["WRONG"]
    return {
        "batch": batch,
        "counts": counts,
        "to_make": to_make,
        "worked_off": to_make - counts["READY"],
        "left_out": counts["ALL"] - counts["CREATED"],
        "is_under_way": batch.status == LinkBatch.Status.CREATING,
        "path": request.path,
    }


def _context(request, batch: LinkBatch) -> dict:
    meanings = import_rows.heading(batch.columns)
    rows = batch.rows.select_related("link")
    listing = Listing(request, rows, columns=_COLUMNS, default="number", filters=RowFilters)
    context = _progress(request, batch) | {
        "listing": listing,
        "rows": [_row(batch.columns, meanings, row) for row in listing.rows],
    }
    if batch.status != LinkBatch.Status.DRAFT:
        return context
    return context | {
        "totals": _totals(request, batch),
        "has_more_totals": len(batch.totals) == import_uploads.TOTALS_KEPT,
        "used_before": imports.used_before(batch),
    }


def _row(columns: list[str], meanings: list[str], row: BatchRow) -> dict:
    """A row as it is shown: each cell that says something beside the name of its column."""
    wrong = {column for column, _ in row.problems}
    return {
        "row": row,
        "cells": [
            {
                "column": column,
                "text": cell,
                "is_wrong": meaning in wrong,
                "is_formula": import_files.is_formula(cell),
            }
            for column, meaning, cell in zip(columns, meanings, row.cells, strict=False)
            if cell
        ],
        "problems": row.problems,
    }


def _totals(request, batch: LinkBatch) -> list[dict]:
    wallets = Wallet.objects.visible_to(request.actor).select_related("account")
    known = {w.id: w for w in wallets.filter(pk__in={said["wallet"] for said in batch.totals})}
    return [
        said | {"wallet": known[said["wallet"]], "total": Decimal(said["total"])}
        for said in batch.totals
        if said["wallet"] in known
    ]


def _download(request, batch: LinkBatch, variant: str) -> HttpResponse:
    """The file, or where to wait for it."""
    with long_requests.place(request.actor):
        if import_exports.is_short(batch, variant=variant):
            content = import_exports.short_content(batch, variant=variant, actor=request.actor)
            return _file(HttpResponse(content, content_type="text/csv"), batch, variant)
        order = partial(import_exports.request, batch, variant=variant, actor=request.actor)
        export = service_runner.run(order, actor=request.actor)
        if export.status != BatchExport.Status.READY:
            path = pages.to(request, "payment-link-batch", id=batch.id)
            return redirect(f"{path}?preparing={variant}")
        content = import_exports.content(export)
        is_plain = "gzip" not in parse_accept_encoding(request.headers.get("Accept-Encoding", ""))
        if is_plain:
            content = import_exports.plain(content)
        response = HttpResponse(content, content_type="text/csv")
        if not is_plain:
            response.headers["Content-Encoding"] = "gzip"
        patch_vary_headers(response, ["Accept-Encoding"])
        return _file(response, batch, variant)


def _file(response: HttpResponse, batch: LinkBatch, variant: str) -> HttpResponse:
    name = batch.id if variant == BatchExport.Variant.ALL else f"{batch.id}-{variant}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    response.headers["Content-Length"] = str(len(response.content))
    return response


def _preparing(request, batch: LinkBatch, variant: str) -> HttpResponse:
    """How far a file to download is; then where it is."""
    context = {
        "batch": batch,
        "export": import_exports.find(batch, variant=variant, actor=request.actor),
        "path": request.path,
    }
    is_asked_again = bool(request.htmx) and request.htmx.target == _EXPORT
    template = (
        "links/payment_links/_import_export.html"
        if is_asked_again
        else "links/payment_links/import_export.html"
    )
    return pages.render(request, template, context)


def _variant(text: str) -> str:
    """The variant that an address names; anything unknown is the whole file."""
    return text if text in BatchExport.Variant.values else BatchExport.Variant.ALL.value
