"""A broker in memory: RabbitMQ 4.3 as far as rmqwork uses it, in one process, without I/O.

For tests and for a first try. It loses everything when its process ends.
"""

from __future__ import annotations

from rmqwork.transport.memory.broker import MemoryBroker
from rmqwork.transport.memory.clock import ManualClock, RealClock
from rmqwork.transport.memory.connector import MemoryConnector, memory_broker

__all__ = ["ManualClock", "MemoryBroker", "MemoryConnector", "RealClock", "memory_broker"]
