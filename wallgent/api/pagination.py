"""Pages of lists: one response format, opaque cursors, newest first."""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator

from wallgent import ids
from wallgent.api.schemas import Schema, spelled
from wallgent.errors import ValidationError

MAX_LIMIT = 100

Limit = Annotated[int, AfterValidator(lambda value: min(max(value, 1), MAX_LIMIT))]


class PageQuery(Schema):
    """The query of every list. Lists with filters derive from it."""

    limit: Limit = 20
    cursor: str | None = None

    def narrow(self, queryset, **filters):
        """Return what matches the filters that were given, which are not None."""
        return queryset.filter(**{name: v for name, v in filters.items() if v is not None})


Item = TypeVar("Item")


class Page(Schema, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    has_more: bool
    cursor: str | None = spelled("cursor", "nextCursor")


def page(queryset, query: PageQuery, output: Callable[[Any], Schema], *, by: str = "pk") -> Page:
    """Return one page of `queryset`, newest first by the field `by`, which is an ID or a number.

    Raises ValidationError for an unknown cursor.
    """
    if query.cursor:
        queryset = queryset.filter(**{f"{by}__lt": _decode(query.cursor, by)})
    rows = list(queryset.order_by(f"-{by}")[: query.limit + 1])
    more = len(rows) > query.limit
    rows = rows[: query.limit]
    cursor = _encode(getattr(rows[-1], by)) if more else None
    return Page.model_construct(data=[output(row) for row in rows], has_more=more, cursor=cursor)


def _encode(value) -> str:
    return base64.urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def _decode(cursor: str, by: str):
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        value = ids.to_uuid(text) if by == "pk" else int(text)
        if isinstance(value, int) and not 0 <= value < 2**63:
            raise ValueError("out of range")
    except (ValueError, UnicodeError, binascii.Error):
        raise ValidationError(
            "The cursor is not one of ours. Leave it out to start again.",
            fields={"cursor": "unknown"},
        ) from None
    return value
