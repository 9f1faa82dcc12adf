"""Dead-lettering: where a message goes that leaves its queue unconsumed.

Sources: RabbitMQ guides "Dead Letter Exchanges" and "Quorum Queues" (at-least-once); FACTS measured
on 4.3: a queue whose 32 oldest letters are not taken sends no others, and tries them again after
180 s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from rmqwork._transport.memory.message import Death, Message, stamp
from rmqwork._transport.memory.queues import MemoryQueue
from rmqwork._transport.port import ChannelClosed

_WINDOW: Final = 32
_RETRY_AFTER: Final = 180.0


class _DeadLetter:
    """A dead letter whose queue keeps it until its targets have it."""

    __slots__ = ("message", "taken_by")

    def __init__(self, message: Message) -> None:
        self.message = message
        self.taken_by: set[str] = set()


class _Outbox:
    """The letters of one queue: those that were tried in vain, and those behind them."""

    __slots__ = ("again", "tried", "waiting")

    def __init__(self) -> None:
        self.tried: list[_DeadLetter] = []
        self.waiting: deque[_DeadLetter] = deque()
        self.again = False


class Owner(Protocol):
    """The broker, as far as its dead letters are concerned."""

    def now(self) -> float:
        """The time by the broker's clock."""
        ...

    def wall(self) -> float:
        """The time since the epoch, as far as the broker is concerned."""
        ...

    def later(self, moment: float, call: Callable[[], None]) -> None:
        """Have something called when the broker's clock says ``moment``."""

    def targets(self, message: Message) -> list[MemoryQueue]:
        """The queues that a message is for; raises `ChannelClosed` without its exchange."""
        ...

    def put(self, queue: MemoryQueue, message: Message) -> bool:
        """Put a message into a queue; false when it refuses."""
        ...


class DeadLettering:
    """Dead-letters for a broker."""

    def __init__(self, broker: Owner) -> None:
        self._broker = broker
        self._outboxes: dict[MemoryQueue, _Outbox] = {}

    def dead_letter(self, queue: MemoryQueue, message: Message, reason: str) -> None:
        """A message leaves a queue; without a dead-letter exchange it is gone."""
        exchange = queue.dead_letter_exchange
        if exchange is None:
            return
        content = message.content
        when = stamp(self._broker.wall())
        death = Death(queue.name, reason, content.exchange, message.routing_keys, when)
        buried = message.buried(death, exchange, queue.dead_letter_routing_key)
        if queue.at_least_once:
            outbox = self._outboxes.setdefault(queue, _Outbox())
            outbox.waiting.append(_DeadLetter(buried))
            self._send(queue, outbox)
            return
        for target in self._targets(buried):
            self._broker.put(target, buried)

    def held(self, queue: MemoryQueue) -> int:
        """How many letters a queue still keeps."""
        outbox = self._outboxes.get(queue)
        return 0 if outbox is None else len(outbox.tried) + len(outbox.waiting)

    def _targets(self, message: Message) -> list[MemoryQueue]:
        try:
            targets = self._broker.targets(message)
        except ChannelClosed:
            return []
        return [target for target in targets if not _cycle(target.name, message)]

    def _send(self, queue: MemoryQueue, outbox: _Outbox) -> None:
        """Try the letters of a queue that wait, as far as its window goes."""
        while outbox.waiting and len(outbox.tried) < _WINDOW:
            letter = outbox.waiting.popleft()
            if not self._taken(letter):
                outbox.tried.append(letter)
        if outbox.tried and not outbox.again:
            outbox.again = True
            self._broker.later(
                self._broker.now() + _RETRY_AFTER, lambda: self._try_again(queue, outbox)
            )

    def _try_again(self, queue: MemoryQueue, outbox: _Outbox) -> None:
        outbox.again = False
        if not queue.deleted:
            outbox.waiting.extendleft(reversed(outbox.tried))
            outbox.tried.clear()
            self._send(queue, outbox)

    def _taken(self, letter: _DeadLetter) -> bool:
        """Whether all targets have a letter now. One that would go in a circle is dropped."""
        try:
            all_targets = self._broker.targets(letter.message)
        except ChannelClosed:
            return False
        targets = [target for target in all_targets if not _cycle(target.name, letter.message)]
        if not all_targets:
            return False
        for target in targets:
            if target.name not in letter.taken_by and self._broker.put(target, letter.message):
                letter.taken_by.add(target.name)
        return letter.taken_by.issuperset(target.name for target in targets)


def _cycle(queue: str, message: Message) -> bool:
    """Whether a message has been in a queue before without having been rejected since."""
    for death in message.deaths:
        if death.reason == "rejected":
            return False
        if death.queue == queue:
            return True
    return False
