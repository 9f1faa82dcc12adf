"""A channel for the strategies of consumers, and what was asked for."""

from __future__ import annotations

from rmqwork._worker.consume.channel import QueueChannel
from tests.unit.fakes import FakeConsumeChannel


class StrategyHarness:
    """A channel whose consumers come and go."""

    def __init__(self) -> None:
        self.broker = FakeConsumeChannel()
        self.channel = QueueChannel(
            self.broker,  # type: ignore[arg-type]
            lambda _: None,
            lambda _: None,
            {},
        )
        self.wakes = 0
        self.stops = 0

    def wake(self) -> None:
        self.wakes += 1

    def stopped(self) -> None:
        self.stops += 1

    def consumers(self) -> list[tuple[str, int]]:
        """The queue and the prefetch of each consumer."""
        return [consumer[:2] for consumer in self.broker.consumers.values()]
