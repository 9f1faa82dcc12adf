"""What tests of tasks need: brokers to run them on, and ways to see what became of messages::

    from rmqwork.testing import memory

    with memory(app) as kit:
        add.delay(2, 2)
        assert kit.run_all().count(add) == 1

`start_broker` finds or starts a RabbitMQ. The pytest plugin ``rmqwork.testing.plugin`` is there as
soon as rmqwork is installed. Each name is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmqwork._transport.memory.broker import MemoryBroker
    from rmqwork._transport.memory.clock import ManualClock
    from rmqwork.testing._eager import Eager, eager
    from rmqwork.testing.broker import Broker, BrokerOperationError, start_broker, vhost
    from rmqwork.testing.kit import Kit, RunReport, memory, real
    from rmqwork.testing.published import Published, Sent
    from rmqwork.testing.worker import Run, TestWorker

__all__ = [
    "Broker",
    "BrokerOperationError",
    "Eager",
    "Kit",
    "ManualClock",
    "MemoryBroker",
    "Published",
    "Run",
    "RunReport",
    "Sent",
    "TestWorker",
    "eager",
    "memory",
    "real",
    "start_broker",
    "vhost",
]

_PLACES = {
    "rmqwork.testing.broker": ("Broker", "BrokerOperationError", "start_broker", "vhost"),
    "rmqwork.testing._eager": ("Eager", "eager"),
    "rmqwork.testing.kit": ("Kit", "RunReport", "memory", "real"),
    "rmqwork.testing.published": ("Published", "Sent"),
    "rmqwork.testing.worker": ("Run", "TestWorker"),
    "rmqwork._transport.memory.broker": ("MemoryBroker",),
    "rmqwork._transport.memory.clock": ("ManualClock",),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            value = getattr(import_module(module), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'rmqwork.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
