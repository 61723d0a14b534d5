"""Writing the log of staff actions without storing what could be a secret."""

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
    """Add a row about the signed-in staff member. `detail` must hold no value that was typed."""
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
    """Add a row with the names of refused query parameters, and how long their values were."""
    sent = [*request.GET.lists(), *request.POST.lists()]
    lengths = [len(value) for name, values in sent if name in names for value in values]
    kept = [_lookup_name(name) for name in sorted(names)[:_NAMES_KEPT]]
    record(
        request,
        Kind.LOOKUP_REFUSED,
        model,
        detail=", ".join(dict.fromkeys(kept)),
        value_length=sum(lengths),
    )


def record_search(request, model: str, term: str) -> None:
    """Add a row with the id that was searched for; of any other term only its length."""
    record(request, Kind.SEARCHED, model, object_id=object_id_in(term), value_length=len(term))


def object_id_in(text: str) -> str:
    """The text if it is the id of an object, else "": anything else may be a secret."""
    return text if _OBJECT_ID.fullmatch(text) else ""


def _lookup_name(name: str) -> str:
    """The name as far as it consists of names of fields and lookups."""
    parts = name.split("__")[:_PARTS_KEPT]
    return "__".join(part if part in _lookup_words() else _UNKNOWN for part in parts)


@cache
def _lookup_words() -> frozenset[str]:
    fields = [field for model in apps.get_models() for field in model._meta.get_fields()]
    names = {getattr(field, "attname", field.name) for field in fields}
    names |= {field.name for field in fields} | {"pk", "o", "_to_field", "_facets"}
    for field in fields:
        names.update(field.get_lookups() if hasattr(field, "get_lookups") else ())
    return frozenset(names)
