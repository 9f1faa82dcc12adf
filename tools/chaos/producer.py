"""A producer: publishes at a rate, whatever happens, and records each attempt and its end.

``python -m tools.chaos.producer SEED RATE``; it ends by a signal.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from time import monotonic
from typing import Final

from rmqwork.errors import RmqworkError
from tools.chaos.app import LEDGER_VARIABLE, WHO_VARIABLE, app
from tools.chaos.ledger import LedgerWriter
from tools.chaos.load import Order, orders

_MAX_BATCH: Final = 200
"""Publishes under way; while the broker is away, no more than these wait."""


async def produce(seed: str, rate: float, ledger: LedgerWriter) -> None:
    """Publish until SIGTERM; what is under way then is waited for.

    Args:
        seed: of what is published.
        rate: publishes a second.
        ledger: where it is recorded.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    under_way: set[asyncio.Task[None]] = set()
    due = monotonic()
    for order in orders(seed):
        due = max(due + 1 / rate, monotonic() - 1)
        while not stop.is_set() and (monotonic() < due or len(under_way) >= _MAX_BATCH):
            await asyncio.sleep(0.005)
        if stop.is_set():
            break
        task = asyncio.create_task(_publish(order, ledger))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    await asyncio.to_thread(app.close)


async def _publish(order: Order, ledger: LedgerWriter) -> None:
    task_id = order.options["task_id"]
    ledger.attempt(task_id, order.fate)
    try:
        await app.apublish(order.message, **order.options)
    except RmqworkError as error:
        ledger.refuse(task_id, str(error), getattr(error, "may_have_arrived", False))
    else:
        ledger.confirm(task_id)


def main() -> None:
    """Publish, as the arguments and the environment say."""
    seed, rate = sys.argv[1:3]
    ledger = LedgerWriter(Path(os.environ[LEDGER_VARIABLE]), os.environ[WHO_VARIABLE])
    asyncio.run(produce(seed, float(rate), ledger))


if __name__ == "__main__":
    main()
