"""The consumer of a suspects queue: its prefetch says how many suspects are held at once."""

from __future__ import annotations

from collections.abc import Callable

from rmqwork._worker.consume.channel import QueueChannel


class SuspectsConsumer:
    """Consumes a suspects queue; an old consumer ends before a new one begins.

    Args:
        source: the suspects queue.
        stopped: called when it has no consumer because none is wanted.
        wake: has `adjust` called soon.
    """

    def __init__(self, source: str, stopped: Callable[[], None], wake: Callable[[], None]) -> None:
        self._source = source
        self._stopped = stopped
        self._wake = wake
        self._wanted = 1
        self._present = 0
        self._tag: str | None = None

    @property
    def active(self) -> bool:
        """True while there is a consumer."""
        return self._tag is not None

    @property
    def prefetch(self) -> int:
        """The prefetch that its consumer has, or is about to have; 1 at first, 0: no consumer."""
        return self._wanted

    def set_prefetch(self, prefetch: int) -> None:
        """Change the prefetch; 0: no consumer, and ``stopped`` is called then."""
        self._wanted = prefetch
        self._wake()

    async def adjust(self, channel: QueueChannel) -> None:
        """Have the consumer that is wanted: never two, which would hold more than either may."""
        wanted = self._wanted
        if wanted != self._present:
            await self.end(channel)
            if wanted:
                self._tag = await channel.start(self._source, wanted)
                self._present = wanted
        if not wanted:
            self._stopped()

    async def end(self, channel: QueueChannel) -> None:
        """Have no consumer."""
        tag, self._tag, self._present = self._tag, None, 0
        if tag is not None:
            await channel.cancel(tag)

    def forget(self) -> None:
        """Take note that the channel has ended: what was held comes again, one at a time."""
        self._tag, self._present, self._wanted = None, 0, 1
