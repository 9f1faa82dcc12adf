"""Where a priority means nothing, and saying so once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from rmqwork._topology.topology import Declaration, DeclareQueue
from rmqwork._transport.port import Link
from rmqwork.types import Publication

_log = logging.getLogger("rmqwork.publisher")
_PRIORITIES_SINCE: Final = (4, 0)


class IgnoredPriorities:
    """Says once when a priority is given where it means nothing."""

    def __init__(self, plan: Sequence[Declaration]) -> None:
        queues = [declaration for declaration in plan if isinstance(declaration, DeclareQueue)]
        self._classic = {
            queue.name: "x-max-priority" in queue.arguments
            for queue in queues
            if queue.arguments.get("x-queue-type") == "classic"
        }
        self._said: set[str] = set()

    def check(self, publication: Publication, link: Link) -> None:
        """Warn if this publication's priority has no effect on its queue."""
        queue = publication.routing_key
        if queue in self._said or self._classic.get(queue):
            return
        if queue in self._classic:
            why = "it is a classic queue without max_priority"
        elif link.server.version < _PRIORITIES_SINCE:
            why = f"{link.server} has no priorities on quorum queues (4.0 and newer have)"
        else:
            return
        self._said.add(queue)
        _log.warning("priority= has no effect on queue %r: %s", queue, why)
