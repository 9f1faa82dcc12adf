"""The stores of results by the scheme of their address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rmqwork._config.result_addresses import REDIS, SQL, scheme_of
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from rmqwork._results.port import Store


def open_store(url: str) -> Store:
    """Open the store of an address.

    Raises:
        ConfigurationError: a library is missing, or the address cannot be used.
    """
    scheme = scheme_of(url)
    if scheme in REDIS:
        from rmqwork._results.redis import RedisStore

        return RedisStore(url)
    if scheme in SQL:
        from rmqwork._results.sql import SqlStore

        return SqlStore(url)
    raise ConfigurationError(f"there is no store of results at {scheme}://")
