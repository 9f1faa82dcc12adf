"""What the tests of the broker in memory share."""

from __future__ import annotations

import pytest

from rmqwork._transport.memory.broker import MemoryBroker
from rmqwork._transport.memory.clock import ManualClock


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker whose clock stands still."""
    return MemoryBroker("unit", ManualClock())
