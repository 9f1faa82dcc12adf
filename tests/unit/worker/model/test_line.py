"""What a worker has of one partition."""

from __future__ import annotations

import asyncio

from rmqwork._worker.model.held import HeldDelivery
from rmqwork._worker.model.line import Line
from tests.unit.fakes import delivery


async def test_what_is_forgotten_has_no_next_attempt() -> None:
    loop = asyncio.get_running_loop()
    timer = loop.call_later(60, print)
    behind = HeldDelivery(2, delivery(), "q", "id-2", 1)
    line = Line(HeldDelivery(1, delivery(), "q", "id-1", 1), behind, timer, until=7.0)

    line.forget()
    line.stop_timer()  # there is none any more

    assert timer.cancelled()
    assert (line.head, line.timer) == (None, None)
    assert (line.behind, line.until) == (behind, 7.0)
