"""The pytest plugin; loaded by its entry point wherever rmqwork is installed.

| fixture | what it is |
| --- | --- |
| ``rmqwork_target`` | the app under test; override it, or name it (see below) |
| ``rmqwork_app`` | that app, bound to a broker in memory for one test |
| ``run_all`` | runs all that waits: ``run_all()`` gives a `RunReport` |
| ``published`` | what the app has published: a `Published` |
| ``rmqwork_kit`` | all of it: a `Kit`, with ``advance``, ``worker``, ``dead_letters``, ``faults`` |
| ``rmqwork_rabbitmq`` | an empty virtual host of a real RabbitMQ; ``rmqwork_app`` is bound to it |
| ``eager`` | ``delay`` runs the task at once: an `Eager` |

The app is named by ``@pytest.mark.rmqwork_app("shop.app:app")``, else by the ini option
``rmqwork_app``, ``RMQWORK_APP`` or ``[tool.rmqwork] app``; without any, each test has an empty one.
``--rmqwork-rabbitmq`` runs all tests that use ``rmqwork_app`` on a real broker.

Nothing is imported here until a fixture is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rmqwork._tasks.app import App
    from rmqwork.testing._eager import Eager
    from rmqwork.testing.broker import Broker
    from rmqwork.testing.kit import Kit, RunReport
    from rmqwork.testing.published import Published


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and ini values."""
    parser.getgroup("rmqwork").addoption(
        "--rmqwork-rabbitmq",
        action="store_true",
        help="run tests that use rmqwork_app on a real RabbitMQ (found or started)",
    )
    parser.addini("rmqwork_app", "the app under test, as module:attribute")


def pytest_configure(config: pytest.Config) -> None:
    """Tell of the marker."""
    config.addinivalue_line(
        "markers", "rmqwork_app(app): the app under test, itself or as module:attribute"
    )


@pytest.fixture
def rmqwork_target(request: pytest.FixtureRequest) -> App:
    """The app under test; override this fixture to give another one."""
    marker = request.node.get_closest_marker("rmqwork_app")
    named = marker.args[0] if marker is not None else _configured(request.config)
    if not named:
        from rmqwork._tasks.app import App

        return App("tests")
    if not isinstance(named, str):
        return named  # type: ignore[no-any-return]
    return _load(named)


def _configured(config: pytest.Config) -> str:
    named = config.getini("rmqwork_app") or os.environ.get("RMQWORK_APP")
    if named:
        return str(named)
    from rmqwork._config.settings import load_settings

    return load_settings({}, directory=config.rootpath).app or ""


def _load(path: str) -> App:
    from rmqwork._executor.loading import load_app
    from rmqwork._tasks.loading import AppNotLoaded

    try:
        return load_app(path)
    except AppNotLoaded as error:
        raise pytest.UsageError(f"rmqwork_app: cannot import {path!r}: {error.report}") from None


@pytest.fixture
def rmqwork_kit(request: pytest.FixtureRequest, rmqwork_target: App) -> Iterator[Kit]:
    """The app on a broker of the test's own, and all that a test may ask of the two."""
    from rmqwork.testing.kit import memory, real

    on_rabbitmq = request.config.getoption("rmqwork_rabbitmq")
    if on_rabbitmq or "rmqwork_rabbitmq" in request.fixturenames:
        url = request.getfixturevalue("rmqwork_rabbitmq")
        with real(rmqwork_target, url) as kit:
            yield kit
        return
    with memory(rmqwork_target) as kit:
        yield kit


@pytest.fixture
def rmqwork_app(rmqwork_kit: Kit) -> App:
    """The app under test, bound to a broker of the test's own: publish, and `run_all`."""
    return rmqwork_kit.app


@pytest.fixture
def run_all(rmqwork_kit: Kit) -> Callable[..., RunReport]:
    """Run all that waits, with retries and delays; see `Kit.run_all`."""
    return rmqwork_kit.run_all


@pytest.fixture
def published(rmqwork_kit: Kit) -> Published:
    """What the app under test has published."""
    return rmqwork_kit.published


@pytest.fixture
def eager(rmqwork_target: App) -> Iterator[Eager]:
    """Publishing runs the task at once, here."""
    from rmqwork.testing._eager import eager

    with eager(rmqwork_target) as port:
        yield port


@pytest.fixture(scope="session")
def rmqwork_rabbitmq_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A RabbitMQ for the session: ``RMQWORK_BROKER``, or one that is started and removed.

    Where there is none, and nobody has asked for one by ``RMQWORK_BROKER`` or
    ``--rmqwork-rabbitmq``, the tests that use it are skipped, with the reasons. With pytest-xdist
    each of its workers has one, unless ``RMQWORK_BROKER`` names one for all.
    """
    from rmqwork.errors import BrokerUnavailable
    from rmqwork.testing.broker import start_broker

    said: list[str] = []
    try:
        broker = start_broker(say=said.append)
    except BrokerUnavailable as error:
        if os.environ.get("RMQWORK_BROKER") or request.config.getoption("rmqwork_rabbitmq"):
            raise
        pytest.skip(" ".join(str(error).split()))
    with broker:
        yield broker


@pytest.fixture
def rmqwork_rabbitmq(rmqwork_rabbitmq_broker: Any) -> Iterator[str]:
    """The address of an empty virtual host on a real RabbitMQ, removed after the test."""
    from rmqwork.testing.broker import vhost

    with vhost(rmqwork_rabbitmq_broker) as url:
        yield url
