from __future__ import annotations

import dataclasses

import pytest

from rmqwork import App, ConfigurationError, Middleware, Nacked
from rmqwork.types import Publication


class Mark(Middleware):
    """Puts its name behind the message's header ``by``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.confirmed: list[str] = []

    def before_publish(self, publication: Publication) -> Publication:
        by = f"{publication.headers.get('by', '')}{self.name}"
        return dataclasses.replace(publication, headers={**publication.headers, "by": by})

    def after_publish(self, publication: Publication) -> None:
        self.confirmed.append(publication.message_id)


class Broken(Middleware):
    def before_publish(self, publication: Publication) -> Publication:
        raise RuntimeError("before")

    def after_publish(self, publication: Publication) -> None:
        raise RuntimeError("after")


class Forgetful(Middleware):
    def before_publish(self, publication: Publication) -> Publication:
        return None  # type: ignore[return-value]


def make(port, *middleware):
    app = App("shop", middleware=middleware)
    app.use_publisher(port)

    @app.task
    def add(x: int) -> int:
        return x

    return app, add


def test_hooks_run_in_order_and_may_change_the_publication(port):
    first, second = Mark("a"), Mark("b")
    app, add = make(port, first, second)

    result = add.delay(1)
    app.publish_many([add.s(2), add.s(3)])

    assert [one.headers["by"] for one in port.sent] == ["ab", "ab", "ab"]
    assert first.confirmed == [one.message_id for one in port.sent]
    assert first.confirmed[0] == result.id


def test_only_what_is_confirmed_is_told(port):
    mark = Mark("a")
    _, add = make(port, mark)
    port.answer = lambda publication: Nacked("full")

    with pytest.raises(Nacked):
        add.delay(1)

    assert mark.confirmed == []


def test_a_broken_one_loses_no_message(port, caplog):
    mark = Mark("a")
    _, add = make(port, Broken(), Forgetful(), mark)

    add.delay(1)

    assert [one.body for one in port.sent] == [b'{"x":1}']
    assert len(mark.confirmed) == 1
    told = [record.message for record in caplog.records]
    assert "Broken.before_publish is broken; the message goes on without it" in told
    assert "Broken.after_publish is broken; the message goes on without it" in told
    assert any("returned None instead of a publication" in text for text in told)


def test_what_is_no_middleware_is_refused():
    with pytest.raises(ConfigurationError, match="is no Middleware"):
        App("shop", middleware=[Mark])  # type: ignore[list-item]
