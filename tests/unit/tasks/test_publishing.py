"""What a publication asks for."""

from __future__ import annotations

import pytest

from rmqwork import App, ResultsDisabled


def test_a_publication_carries_nothing_unless_the_app_has_results(app, port):
    @app.task
    def add(x: int) -> int:
        return x

    result = add.delay(1)
    assert (port.sent[0].reply_to, port.sent[0].correlation_id) == (None, None)
    with pytest.raises(ResultsDisabled, match="published without a result"):
        result.get(timeout=1)


def test_a_task_that_ignores_its_result_asks_for_none(port, monkeypatch):
    app = App("shop", broker="memory://ignored", results="rpc://")
    app.use_publisher(port)

    @app.task(ignore_result=True)
    def add(x: int) -> int:
        return x

    result = add.delay(1)
    assert port.sent[0].reply_to is None
    with pytest.raises(ResultsDisabled):
        result.get(timeout=1)
    app.close()
