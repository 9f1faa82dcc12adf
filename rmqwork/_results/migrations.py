"""The layout of the table of results, and how a table of an older one becomes one of this.

A row of the table itself says which layout it has, so that one look is enough. Layouts only ever
get columns more: processes of an older version go on with a newer table during a rolling update.

| layout | columns |
| --- | --- |
| 1 | ``id``, ``record`` |
| 2 | and ``expires_at``, with an index |
"""

from __future__ import annotations

import time
from typing import Any, Final

from rmqwork.errors import ConfigurationError

LAYOUT: Final = 2
MARKER: Final = "rmqwork.layout"
"""The id of the row that says which layout the table has; no task has such an id."""
_FOR_EVER: Final = 1e15
_OLD_ROWS: Final = 86400.0
"""Seconds for which records are kept of which nobody has said how long."""


def marker_row() -> dict[str, object]:
    """The row of a table of this layout."""
    return {"id": MARKER, "record": str(LAYOUT).encode(), "expires_at": _FOR_EVER}


def layout_of(sa: Any, engine: Any, table: Any) -> int:
    """The layout that a table says it has; 0: it says nothing."""
    wanted = sa.select(table.c.record).where(table.c.id == MARKER)
    with engine.begin() as connection:
        found = connection.execute(wanted).scalar()
    try:
        return 0 if found is None else int(bytes(found))
    except ValueError:
        return 0


def add_what_is_missing(sa: Any, engine: Any, table: Any) -> None:
    """Give an older table the columns and indexes that it has not.

    Safe to be done by several processes at once.

    Raises:
        ConfigurationError: the database does not let this user do it.
    """
    for column in _missing(sa, engine, table):
        try:
            _add(sa, engine, table, column)
        except sa.exc.DBAPIError as error:
            if column in _missing(sa, engine, table):  # else another process was faster
                raise ConfigurationError(
                    f"results: table {table.name!r} has an older layout, without {column!r}, and "
                    f"this user may not add it ({str(error.orig).strip()}); let a worker run once "
                    "as a user who may alter tables"
                ) from error


def _missing(sa: Any, engine: Any, table: Any) -> list[str]:
    there = {column["name"] for column in sa.inspect(engine).get_columns(table.name)}
    return [column.name for column in table.columns if column.name not in there]


def _add(sa: Any, engine: Any, table: Any, name: str) -> None:
    default = sa.text(str(int(time.time() + _OLD_ROWS)))
    added = sa.Column(name, table.c[name].type, nullable=False, server_default=default)
    sa.Table(table.name, sa.MetaData(), added)  # a column is compiled as part of a table
    written = sa.schema.CreateColumn(added).compile(dialect=engine.dialect)
    quoted = engine.dialect.identifier_preparer.format_table(table)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {quoted} ADD COLUMN {written}"))
    for index in table.indexes:
        if name in index.columns:
            index.create(engine, checkfirst=True)
