"""Addresses of result back ends, by their scheme."""

from __future__ import annotations

from typing import Final

RPC: Final = "rpc"
REDIS: Final = frozenset({"redis", "rediss", "unix"})
SQL: Final = frozenset({"postgresql", "postgres", "mysql", "mariadb", "sqlite"})


def check_address(url: object) -> str:
    """Return the address of a back end, if it is one.

    Raises:
        ValueError: it is none; the text says what is.
    """
    text = str(url)
    scheme = scheme_of(text)
    if "://" not in text or not (scheme == RPC or scheme in REDIS or scheme in SQL):
        raise ValueError(
            f"unknown result back end {text.partition('://')[0]!r}; there are rpc://, "
            "redis://host:6379/0, postgresql://…, mysql://…, sqlite:///file"
        )
    return text


def scheme_of(url: str) -> str:
    """Return the kind of back end that an address names, without its driver."""
    return url.partition("://")[0].partition("+")[0]


def is_store(url: str | None) -> bool:
    """True if executors write results into a store; else workers send replies, or nothing."""
    return url is not None and scheme_of(url) != RPC
