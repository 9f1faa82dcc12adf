"""The result back ends by the scheme of their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._results.port import Store

RPC = "rpc"
_REDIS = frozenset({"redis", "rediss", "unix"})
_SQL = frozenset({"postgresql", "postgres", "mysql", "mariadb", "sqlite"})


def check_address(url: object) -> str:
    """The address of a back end, if it is one.

    Raises:
        ValueError: it is none; the text says what is.
    """
    text = str(url)
    scheme = scheme_of(text)
    if "://" not in text or not (scheme == RPC or scheme in _REDIS or scheme in _SQL):
        raise ValueError(
            f"unknown result back end {text.partition('://')[0]!r}; there are rpc://, "
            "redis://host:6379/0, postgresql://…, mysql://…, sqlite:///file"
        )
    return text


def scheme_of(url: str) -> str:
    """The kind of back end that an address names, without its driver."""
    return url.partition("://")[0].partition("+")[0]


def is_store(url: str | None) -> bool:
    """Whether executors write results into a store; otherwise workers send replies, or nothing."""
    return url is not None and scheme_of(url) != RPC


def open_store(url: str) -> Store:
    """The store of an address.

    Raises:
        ConfigurationError: a library is missing, or the address cannot be used.
    """
    scheme = scheme_of(url)
    if scheme in _REDIS:
        from rmqwork._results.redis import RedisStore

        return RedisStore(url)
    if scheme in _SQL:
        from rmqwork._results.sql import SqlStore

        return SqlStore(url)
    raise ConfigurationError(f"there is no store of results at {scheme}://")
