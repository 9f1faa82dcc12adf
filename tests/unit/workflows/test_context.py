"""What goes from step to step."""

from __future__ import annotations

import pytest

from rmqwork._workflows.context import TooLarge, WorkflowContext
from rmqwork.errors import InvalidMessage


def test_a_body_of_the_largest_size_passes_and_one_byte_more_does_not() -> None:
    carry = WorkflowContext("wf", 0.0, max_size=1000)

    carry.check("the next step", bytes(1000))
    with pytest.raises(TooLarge, match=r"the next step would take 1,001 bytes of 1,000; .*refer"):
        carry.check("the next step", bytes(1001))


def test_who_handles_invalid_messages_handles_those_that_are_too_large() -> None:
    assert issubclass(TooLarge, InvalidMessage)
