"""Workflows are published by whatever has the ports: here by an app that is no `App`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rmqwork import App
from rmqwork._canvas.links import parse
from rmqwork._canvas.ports import PublishingApp, TaskLike
from rmqwork._canvas.publishing import start
from rmqwork._canvas.remote import RemoteArgumentBinder, RemoteTask
from rmqwork._canvas.spec import Group, Step, joined
from rmqwork._config.settings import Settings
from rmqwork._messages.encoded import EncodedMessage
from rmqwork._messages.options import CallOptions
from rmqwork._messages.routing import Route
from rmqwork._results.client import ResultClient
from rmqwork._results.result import AsyncResult
from rmqwork.types import Publication

VERBS = ("delay", "adelay")


@dataclass
class PublishingFixture:
    """A `PublishingApp` that keeps what it is to publish, and has no tasks and no results."""

    name: str = "desk"
    settings: Settings = field(default_factory=Settings)
    seal: None = None
    sent: list[Publication] = field(default_factory=list)
    encoded: list[EncodedMessage] = field(default_factory=list)
    tasks: dict[str, Any] = field(default_factory=dict)
    publishes_in_worker: bool = False

    @property
    def asking(self) -> ResultClient:
        return ResultClient(self)

    def route(self, encoded: EncodedMessage, options: CallOptions) -> Route:
        return Route("desk", encoded.name)

    def publish_encoded(
        self, encoded: EncodedMessage, options: CallOptions, verbs: tuple[str, str]
    ) -> AsyncResult[Any]:
        self.encoded.append(encoded)
        return AsyncResult("id-1", encoded.name)

    async def apublish_encoded(
        self, encoded: EncodedMessage, options: CallOptions
    ) -> AsyncResult[Any]:
        return self.publish_encoded(encoded, options, VERBS)

    def send(self, publications: Sequence[Publication], timeout: float | None) -> None:
        self.sent += publications

    async def asend(self, publications: Sequence[Publication], timeout: float | None) -> None:
        self.send(publications, timeout)

    def revoke(self, ids: Sequence[str], *, terminate: bool = False) -> None:
        raise NotImplementedError

    async def arevoke(self, ids: Sequence[str], *, terminate: bool = False) -> None:
        raise NotImplementedError


@dataclass
class Clerk:
    """A `TaskLike` with one field."""

    app: PublishingApp
    name: str
    version: int = 1
    queue: str | None = None
    partition_key: str | None = None
    taken_schema: Mapping[str, Any] = field(default_factory=dict)
    value_schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def filling(self) -> RemoteArgumentBinder:
        return RemoteArgumentBinder(self.name, "x")

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> EncodedMessage:
        return EncodedMessage(self.name, json.dumps(dict(kwargs)).encode(), 1, None, kwargs)

    def call_options(self, given: Mapping[str, Any], below: Mapping[str, Any]) -> CallOptions:
        return parse({**below, **given}, self.name, 0.0)


def test_one_call_goes_to_the_app_as_it_is() -> None:
    desk = PublishingFixture()

    result = start(Step(Clerk(desk, "file"), kwargs={"x": 1}), VERBS)

    assert ([one.body for one in desk.encoded], desk.sent) == ([b'{"x": 1}'], [])
    assert result.task == "file"


def test_a_workflow_goes_to_the_app_of_its_first_task() -> None:
    # Given tasks of two apps, of which one is known by its name only
    desk, other = PublishingFixture(), PublishingFixture("other")
    first = Step(Clerk(desk, "file"), kwargs={"x": 1})
    last: TaskLike = RemoteTask(other, "stamp", "y")

    # When a chain of them is published
    result = start(joined([Group((first, first)), Step(last, is_open=True)]), VERBS)

    # Then the first app has sent its messages, and each node has the app and route of its task
    assert other.sent == []
    opening, *members = desk.sent
    assert [(one.exchange, one.routing_key, one.app_id) for one in members] == [
        ("desk", "file", "desk")
    ] * 2
    assert b'"app_id":"other"' in opening.body
    assert result.task == "stamp"


def test_an_app_has_the_port(app: App) -> None:
    @app.task
    def add(x: int) -> int:
        return x

    port: PublishingApp = app  # what mypy checks
    task: TaskLike = add

    assert task.app is port
