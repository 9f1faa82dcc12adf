"""Tests of the store in a database."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path

import sqlalchemy

from rmqwork._results.sql import SqlStore


def open_files(path: Path) -> int:
    """The number of descriptors that this process has of a file."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(link) == str(path)
        except OSError:
            continue  # closed in between
    return found


def test_closing_ends_a_connection_in_use_when_its_transaction_ends(tmp_path):
    path = tmp_path / "db"
    store = SqlStore(f"sqlite:///{path}")
    store.put("first", b"1", 60)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    in_use = threading.Event()

    def checked_out(*_: object) -> None:
        in_use.set()

    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "checkout", checked_out)
    try:
        writing = threading.Thread(target=store.put, args=("second", b"2", 60))
        writing.start()
        assert in_use.wait(20)
    finally:
        sqlalchemy.event.remove(sqlalchemy.pool.Pool, "checkout", checked_out)
    store.close()
    other.execute("COMMIT")
    other.close()
    writing.join(20)
    assert not writing.is_alive()
    assert open_files(path) == 0
    again = SqlStore(f"sqlite:///{path}")
    assert again.fetch(["second"]) == {"second": b"2"}
    again.close()
