"""Bind an app to another broker for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rmqwork._publisher.publisher_thread import ThreadedPublisher
from rmqwork._publisher.sender import Sender
from rmqwork._transport.connecting import connect

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork._transport.port import PublishPort

_CLOSE_TIMEOUT: Final = 5.0


@contextmanager
def bound(
    app: App, url: str, wrap: Callable[[PublishPort], PublishPort] | None = None
) -> Iterator[App]:
    """Let an app publish to, and its test workers consume from, another broker.

    Args:
        app: which.
        url: the broker's address.
        wrap: what to put around the port by which it publishes.
    """
    settings, sender, state = app.settings, app._sender, app._state

    def make() -> PublishPort:
        connector = connect(app.settings.broker, app.settings.heartbeat)
        port = ThreadedPublisher(connector, app.topology(), app.name)
        return port if wrap is None else wrap(port)

    app.__dict__["settings"] = replace(settings, broker=(url,))
    app._sender = Sender(make, app.hooks)
    try:
        yield app
    finally:
        app._sender.close(_CLOSE_TIMEOUT)
        app.__dict__["settings"] = settings
        app._sender, app._state = sender, state
