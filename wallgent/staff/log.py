"""Writes the log of staff actions, without any value that could be a secret."""

import re
from functools import cache

from django.apps import apps

from wallgent import clock
from wallgent.staff.models import StaffAction

Kind = StaffAction.Kind

_OBJECT_ID = re.compile(
    r"[a-z]{2,8}_[0-7][0-9A-HJKMNP-TV-Z]{25}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_NAMES_KEPT = 10
_PARTS_KEPT = 6
_UNKNOWN = "?"


def record(
    request,
    kind: str,
    model: str = "",
    *,
    object_id: str = "",
    detail: str = "",
    value_length: int | None = None,
) -> None:
    """Log an action of the signed-in staff member. `detail` must not contain a typed value."""
    StaffAction.objects.create(
        created_at=clock.real_now(),
        user=request.user,
        kind=kind,
        model=model,
        object_id=object_id,
        detail=detail,
        value_length=value_length,
        request_id=request.id,
    )


def record_refused_lookup(request, model: str, names: list[str]) -> None:
    """Log the names of refused query parameters, and the total length of their values."""
    parameters = [*request.GET.lists(), *request.POST.lists()]
    lengths = [len(value) for name, values in parameters if name in names for value in values]
    kept = [_lookup_name(name) for name in sorted(names)[:_NAMES_KEPT]]
    record(
        request,
        Kind.LOOKUP_REFUSED,
        model,
        detail=", ".join(dict.fromkeys(kept)),
        value_length=sum(lengths),
    )


def record_search(request, model: str, term: str) -> None:
    """Log a search: the term if it is an id, and else only its length."""
    record(request, Kind.SEARCHED, model, object_id=object_id_in(term), value_length=len(term))


def object_id_in(text: str) -> str:
    """Return the text if it is an object id, else "": any other text may be a secret."""
    return text if _OBJECT_ID.fullmatch(text) else ""


def _lookup_name(name: str) -> str:
    """Return the name, with "?" for each part that is not the name of a field or lookup."""
    parts = name.split("__")[:_PARTS_KEPT]
    return "__".join(part if part in _lookup_words() else _UNKNOWN for part in parts)


@cache
def _lookup_words() -> frozenset[str]:
    """Return the names of all fields and lookups."""
    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    names = {getattr(field, "attname", field.name) for field in fields}
    names |= {field.name for field in fields} | {"pk", "o", "_to_field", "_facets"}
    for field in fields:
        names.update(field.get_lookups() if hasattr(field, "get_lookups") else ())
    return frozenset(names)
