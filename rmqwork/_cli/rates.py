"""What the management interface knows beyond AMQP, if it answers."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rmqwork._admin.management import Management

_TIMEOUT: Final = 1.0
_COLUMNS: Final = (
    "name,type,messages_unacknowledged,message_stats.publish_details.rate,"
    "message_stats.ack_details.rate"
)


class Rates:
    """Messages in work and rates of all queues of a virtual host; tried once, where it mostly is.

    Args:
        broker: the AMQP addresses; the first counts.
        management_url: where the interface is, if that is known.
    """

    def __init__(self, broker: Sequence[str], management_url: str | None = None) -> None:
        self._management_url = management_url
        parts = urllib.parse.urlsplit(broker[0])
        self._url = broker[0] if parts.scheme in ("amqp", "amqps") else None
        self._vhost = urllib.parse.unquote(parts.path[1:]) or "/"
        self._management: Management | None = None
        self._tried = False

    async def read(self) -> dict[str, dict[str, Any]] | None:
        """By queue; None if the interface does not answer."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> dict[str, dict[str, Any]] | None:
        from rmqwork._admin.management import ManagementError

        management = self._find()
        if management is None:
            return None
        path = f"queues/{urllib.parse.quote(self._vhost, safe='')}?columns={_COLUMNS}"
        try:
            found = json.loads(management.call("GET", path, timeout=_TIMEOUT))
        except (ManagementError, ValueError):
            return None
        return {str(queue["name"]): _known(queue) for queue in found if "name" in queue}

    def _find(self) -> Management | None:
        from rmqwork._admin.management import ManagementError, find_management

        if self._tried or self._url is None:
            return self._management
        self._tried = True
        with suppress(ManagementError):
            self._management = find_management(self._url, self._management_url, _TIMEOUT)
        return self._management


def _known(queue: dict[str, Any]) -> dict[str, Any]:
    stats = queue.get("message_stats") or {}
    return {
        "type": queue.get("type", "?"),
        "unacked": queue.get("messages_unacknowledged", 0),
        "in_per_s": (stats.get("publish_details") or {}).get("rate", 0.0),
        "out_per_s": (stats.get("ack_details") or {}).get("rate", 0.0),
    }
