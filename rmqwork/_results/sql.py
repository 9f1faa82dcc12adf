"""Results in a database, through SQLAlchemy 2: one table, made when it is missing.

rmqwork_results (id varchar(255) primary key, record blob, expires_at double)

A table of an older version is brought up to date: `rmqwork._results.migrations`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from rmqwork._results.migrations import LAYOUT, add_what_is_missing, layout_of, marker_row
from rmqwork.errors import ConfigurationError

TABLE: Final = "rmqwork_results"
_CLEAN_EVERY: Final = 60.0
_DRIVERS: Final = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


class SqlStore:
    """A `rmqwork._results.port.Store` in PostgreSQL, MySQL, MariaDB or SQLite.

    Each process deletes what has expired, at most once a minute.

    Args:
        url: as SQLAlchemy has them; without a driver: psycopg and PyMySQL.

    Raises:
        ConfigurationError: SQLAlchemy or the driver is missing, or the address is wrong.
    """

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy as sa
            from sqlalchemy import exc
            from sqlalchemy.dialects import mysql
        except ImportError as error:
            raise ConfigurationError(
                "results in a database need SQLAlchemy: pip install 'rmqwork[sql]'"
            ) from error
        self._sa: Any = sa
        scheme, colon, rest = url.partition("://")
        try:
            self._engine: Any = sa.create_engine(
                _DRIVERS.get(scheme, scheme) + colon + rest, pool_pre_ping=True
            )
        except ImportError as error:
            raise ConfigurationError(
                f"results: the driver of {scheme!r} is missing ({error}); "
                "pip install 'rmqwork[sql]' has psycopg and PyMySQL"
            ) from error
        except exc.ArgumentError as error:
            raise ConfigurationError(f"results: {error}") from None
        blob = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
        name = sa.String(255).with_variant(
            mysql.VARCHAR(255, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
        )
        self._table: Any = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("id", name, primary_key=True),
            sa.Column("record", blob, nullable=False),
            sa.Column("expires_at", sa.Double(), nullable=False, index=True),
        )
        self._lock = threading.Lock()
        self._made = False
        self._closed = False
        self._clean_at = 0.0

    def put(self, key: str, body: bytes, ttl: float) -> None:
        """Write a record; see the port."""
        now = time.time()
        row = {"id": key, "record": body, "expires_at": now + ttl}
        with self._begin() as connection:
            connection.execute(self._upsert(row))
        if now >= self._clean_at:
            self._clean_at = now + _CLEAN_EVERY
            with self._begin() as connection:
                connection.execute(self._table.delete().where(self._table.c.expires_at < now))

    def fetch(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """Read records; see the port."""
        if not keys:
            return {}
        table = self._table.c
        wanted = self._sa.select(table.id, table.record).where(
            table.id.in_(list(keys)), table.expires_at >= time.time()
        )
        with self._begin() as connection:
            return {key: bytes(body) for key, body in connection.execute(wanted)}

    def delete(self, keys: Collection[str]) -> None:
        """Delete records; see the port."""
        with self._begin() as connection:
            connection.execute(self._table.delete().where(self._table.c.id.in_(list(keys))))

    def close(self) -> None:
        """Let go of connections; of those in use as soon as their transactions end."""
        self._closed = True
        self._engine.dispose()

    @contextmanager
    def _begin(self) -> Iterator[Any]:
        """A transaction; the first one finds the table made."""
        if not self._made:
            self._make_table()
        pool = self._engine.pool
        try:
            with self._engine.begin() as connection:
                yield connection
        finally:
            # `dispose` passes over connections in use: they come back to the pool of before.
            if self._closed:
                pool.dispose()
                self._engine.dispose()

    def _make_table(self) -> None:
        with self._lock:
            if self._made:
                return
            try:
                self._table.create(self._engine, checkfirst=True)
            except self._sa.exc.DBAPIError:
                # Another process was faster, or may make tables and this one may not.
                if not self._sa.inspect(self._engine).has_table(TABLE):
                    raise
            self._bring_up_to_date()
            self._made = True

    def _bring_up_to_date(self) -> None:
        if layout_of(self._sa, self._engine, self._table) >= LAYOUT:
            return
        add_what_is_missing(self._sa, self._engine, self._table)
        # Who may only read goes on without the mark.
        with suppress(self._sa.exc.DBAPIError), self._engine.begin() as connection:
            connection.execute(self._upsert(marker_row()))

    def _upsert(self, row: Mapping[str, object]) -> Any:
        dialect = self._engine.dialect.name
        changed = {name: row[name] for name in ("record", "expires_at")}
        if dialect in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import insert as mysql_insert

            return mysql_insert(self._table).values(row).on_duplicate_key_update(changed)
        if dialect == "sqlite":
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return (
                sqlite_insert(self._table)
                .values(row)
                .on_conflict_do_update(index_elements=["id"], set_=changed)
            )
        from sqlalchemy.dialects.postgresql import insert

        return (
            insert(self._table)
            .values(row)
            .on_conflict_do_update(index_elements=["id"], set_=changed)
        )
