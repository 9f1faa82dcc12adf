"""How long the broker waits for a delivery to be settled, and who tells it."""

from __future__ import annotations

import logging

import pytest

from rmqwork._worker.consume.timeouts import consumer_arguments, tell_of_timeout

NEW, OLD = (4, 3, 0), (4, 2, 1)


def test_a_consumer_tells_its_timeout_in_whole_milliseconds() -> None:
    assert consumer_arguments(7260.0005, NEW) == {"x-consumer-timeout": 7_260_000}


@pytest.mark.parametrize(("timeout", "server"), [(None, NEW), (7260.0, OLD), (None, OLD)])
def test_nothing_is_told_where_nothing_is_wanted_or_nobody_would_hear_it(
    timeout: float | None, server: tuple[int, ...]
) -> None:
    assert consumer_arguments(timeout, server) == {}


@pytest.mark.parametrize(
    ("timeout", "server", "said"), [(None, OLD, 0), (7260.0, NEW, 0), (7260.0, OLD, 1)]
)
def test_what_an_older_broker_is_not_told_somebody_has_to_set(
    timeout: float | None,
    server: tuple[int, ...],
    said: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "rmqwork.worker"):
        tell_of_timeout("video", timeout, server)

    assert len(caplog.messages) == said
    for line in caplog.messages:
        assert "'video'" in line
        assert "RabbitMQ 4.2.1" in line
        assert "to 7260000 ms" in line
