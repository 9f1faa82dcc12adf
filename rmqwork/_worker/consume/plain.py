"""The consumers of a queue without partitions; their prefetch changes with the throughput."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rmqwork._worker.consume.channel import QueueChannel


class PlainConsumers:
    """Consumes a queue's sources; where the prefetch changes, new consumers take over.

    Args:
        sources: the broker's queues.
        prefetch: unsettled deliveries at most, of each.
        wake: has `adjust` called soon.
    """

    def __init__(self, sources: Sequence[str], prefetch: int, wake: Callable[[], None]) -> None:
        self._sources = sources
        self._prefetch = prefetch
        self._wake = wake
        self._tags: list[str] = []
        self._present = 0
        """The prefetch of the consumers that there are; 0: there are none."""

    @property
    def active(self) -> bool:
        """True while there are consumers."""
        return bool(self._tags)

    @property
    def prefetch(self) -> int:
        """The prefetch that its consumers have, or are about to have."""
        return self._prefetch

    def set_prefetch(self, prefetch: int) -> None:
        """Change the prefetch."""
        if prefetch != self._prefetch:
            self._prefetch = prefetch
            self._wake()

    async def adjust(self, channel: QueueChannel) -> None:
        """Have consumers with this prefetch; the old ones end after the new ones have begun."""
        prefetch = self._prefetch
        if prefetch == self._present:
            return
        old, self._present = self._tags, prefetch
        self._tags = [await channel.start(source, prefetch) for source in self._sources]
        for tag in old:
            await channel.cancel(tag)

    async def end(self, channel: QueueChannel) -> None:
        """Have no consumers."""
        tags = self._tags
        self.forget()
        for tag in tags:
            await channel.cancel(tag)

    def forget(self) -> None:
        """Take note that the channel has ended."""
        self._tags, self._present = [], 0
