"""Choices for all queues, and for single ones."""

from __future__ import annotations

import pytest

from rmqwork._admin.deploy.options import per_queue
from rmqwork.errors import ConfigurationError


def test_choices_for_single_queues():
    chosen = per_queue(["3", "low=5"], 1, int, ["low", "high"], "--most")

    assert (chosen.of("low"), chosen.of("high")) == (5, 3)
    with pytest.raises(ConfigurationError, match="no queue 'lo'"):
        per_queue(["lo=5"], 1, int, ["low"], "--most")
    with pytest.raises(ConfigurationError, match="'x' is no suitable value"):
        per_queue(["x"], 1, int, ["low"], "--most")
