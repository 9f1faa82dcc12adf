"""Results in Redis: one key a task, with its expiry (``SET key value PX milliseconds``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from rmqwork.errors import ConfigurationError

_PREFIX: Final = "rmqwork-result-"
_TIMEOUT: Final = 10.0


class RedisStore:
    """A `rmqwork._results.port.Store` in Redis.

    Args:
        url: ``redis://…``, ``rediss://…`` or ``unix://…``, with redis-py's options as the query.

    Raises:
        ConfigurationError: redis-py is missing, or does not understand the address.
    """

    def __init__(self, url: str) -> None:
        try:
            import redis
        except ImportError as error:
            raise ConfigurationError(
                "results in Redis need redis-py: pip install 'rmqwork[redis]'"
            ) from error
        try:
            self._client: Any = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
            )
        except ValueError as error:
            raise ConfigurationError(f"results: {error}") from None

    def put(self, key: str, body: bytes, ttl: float) -> None:
        """Write a record; see the port."""
        self._client.set(_PREFIX + key, body, px=max(1, round(ttl * 1000)))

    def fetch(self, keys: Collection[str]) -> Mapping[str, bytes]:
        """Read records; see the port."""
        keys = list(keys)
        found = self._client.mget([_PREFIX + key for key in keys]) if keys else []
        return {key: body for key, body in zip(keys, found, strict=True) if body is not None}

    def delete(self, keys: Collection[str]) -> None:
        """Delete records; see the port."""
        if keys:
            self._client.delete(*(_PREFIX + key for key in keys))

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()
