"""Lists on pages: filters, sort order and page number come from the URL."""

from dataclasses import dataclass

from django import forms
from django.db.models import F, QuerySet
from django.utils.functional import cached_property

PAGE_SIZE = 25
_LAST_PAGE = 400  # deep pages are slow, and a filter finds a row faster


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column with its heading. `sort` is the field or expression to sort by.

    `empty_last` keeps rows with a null there at the end, in an order that no index supports.
    """

    label: str
    sort: str = ""
    numeric: bool = False
    empty_last: bool = False


class Filters(forms.Form):
    """The filters of a list. A subclass implements `apply`."""

    def apply(self, rows: QuerySet) -> QuerySet:
        raise NotImplementedError


class Listing:
    """One page of `rows` as the query string requests it. Invalid parameters are ignored.

    `sort=-created` sorts by the column `created`, largest first. `default` is the sort order
    without that parameter.
    """

    def __init__(
        self,
        request,
        rows: QuerySet,
        *,
        columns: dict[str, Column],
        default: str,
        filters: type[Filters] | None = None,
    ):
        self._request = request
        self._query = request.GET
        self._columns = columns
        self._default = default
        self.filters = filters(self._query or None) if filters else None
        self._all = rows

    @cached_property
    def rows(self) -> list:
        return self._window[:PAGE_SIZE]

    @cached_property
    def _window(self) -> list:
        rows = self._all
        if self.filters and self.filters.is_bound and self.filters.is_valid():
            rows = self.filters.apply(rows)
        start = (self.page - 1) * PAGE_SIZE
        return list(rows.order_by(*self._order())[start : start + PAGE_SIZE + 1])

    @cached_property
    def page(self) -> int:
        text = self._query.get("page", "")
        return min(max(int(text), 1), _LAST_PAGE) if text.isdecimal() and len(text) < 9 else 1

    @cached_property
    def sort(self) -> str:
        requested = self._query.get("sort", "")
        column = self._columns.get(requested.removeprefix("-"))
        return requested if column and column.sort else self._default

    def _order(self) -> list:
        column = self._columns[self.sort.removeprefix("-")]
        down = self.sort.startswith("-")
        field, nulls = F(column.sort), {"nulls_last": True} if column.empty_last else {}
        first = field.desc(**nulls) if down else field.asc(**nulls)
        return [first, "-pk" if down else "pk"]  # so that equal rows have a stable order

    @property
    def columns(self) -> list[dict]:
        """The headings: name, label, numeric; if sortable, sort_url and the aria-sort direction."""
        return [self._heading(name, column) for name, column in self._columns.items()]

    def _heading(self, name: str, column: Column) -> dict:
        heading = {"name": name, "label": column.label, "numeric": column.numeric}
        if not column.sort:
            return heading
        if self.sort.removeprefix("-") != name:
            down = column.numeric or self._columns[name].sort == "pk"
            next_sort, direction = f"-{name}" if down else name, "none"
        elif self.sort.startswith("-"):
            next_sort, direction = name, "descending"
        else:
            next_sort, direction = f"-{name}", "ascending"
        return heading | {"sort_url": self._url(sort=next_sort, page=None), "direction": direction}

    @property
    def previous_url(self) -> str | None:
        return self._url(page=self.page - 1) if self.page > 1 else None

    @property
    def next_url(self) -> str | None:
        more = len(self._window) > PAGE_SIZE and self.page < _LAST_PAGE
        return self._url(page=self.page + 1) if more else None

    @property
    def is_filtered(self) -> bool:
        """Whether filters are set, which may be why the list is empty."""
        return bool(self.filters and self.filters.is_bound and self.filters.changed_data)

    @property
    def clear_url(self) -> str:
        return self._request.path

    def _url(self, **changes) -> str:
        query = self._query.copy()
        for name, value in changes.items():
            if value is None:
                query.pop(name, None)
            else:
                query[name] = value
        return f"{self._request.path}?{query.urlencode()}" if query else self._request.path
