"""Compiled SQL for the few queries that every payment runs.

The ORM takes longer to compile such a query than PostgreSQL takes to execute it. The query is still
written as a queryset and still returns model objects; only its compiled SQL is cached.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from django.db import connection, models
from django.db.models.query import QuerySet, get_related_populators


class _Plan(NamedTuple):
    sql: str
    converters: dict
    compiler: object
    model: type[models.Model]
    columns: slice
    names: list[str]
    populators: list


class Select:
    """A queryset of whole objects, compiled once for each number of parameters.

    `build(*parameters)` returns it; its SQL must contain each parameter once, in the same order.
    """

    def __init__(self, build: Callable[..., QuerySet]):
        self._build = build
        self._plans: dict[int, _Plan] = {}

    def __call__(self, *parameters) -> list:
        """Run the query with these parameters, given as the columns store them."""
        plan = self._plans.get(len(parameters))
        if plan is None:
            plan = self._plans[len(parameters)] = self._compile(parameters)
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, parameters)
            rows = cursor.fetchall()
        found = []
        for row in plan.compiler.apply_converters(rows, plan.converters):
            item = plan.model.from_db(connection.alias, plan.names, row[plan.columns])
            for populator in plan.populators:
                populator.populate(row, item)
            found.append(item)
        return found

    def _compile(self, parameters: tuple) -> _Plan:
        compiler = self._build(*parameters).query.get_compiler(connection=connection)
        sql, compiled = compiler.as_sql()
        plain = tuple(getattr(value, "obj", value) for value in compiled)  # bytes are wrapped
        assert plain == parameters, "the SQL has the parameters in another order"
        select, info = compiler.select, compiler.klass_info
        fields = info["select_fields"]
        return _Plan(
            sql=sql,
            converters=compiler.get_converters([column[0] for column in select]),
            compiler=compiler,
            model=info["model"],
            columns=slice(fields[0], fields[-1] + 1),
            names=[select[index][0].target.attname for index in fields],
            populators=get_related_populators(info, select, connection.alias),
        )


def insert(item: models.Model) -> None:
    """Insert a new object, as `save(force_insert=True)` does for a model without signals."""
    sql, fields = _insert_statement(type(item))
    values = [field.get_db_prep_save(field.pre_save(item, True), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
    item._state.adding, item._state.db = False, connection.alias


@cache
def _insert_statement(model: type[models.Model]) -> tuple[str, list[models.Field]]:
    quote = connection.ops.quote_name
    fields = [field for field in model._meta.local_concrete_fields if not field.generated]
    columns = ", ".join(quote(field.column) for field in fields)
    values = ", ".join(["%s"] * len(fields))
    table = quote(model._meta.db_table)
    return f"INSERT INTO {table} ({columns}) VALUES ({values})", fields  # noqa: S608
