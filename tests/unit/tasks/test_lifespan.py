from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from rmqwork import App, ConfigurationError


def plain() -> Iterator[str]:
    yield "plain"


def with_app(app: App) -> Iterator[str]:
    yield f"with {app.name}"


@contextmanager
def managed(app: App) -> Iterator[str]:
    yield f"managed {app.name}"


async def aplain() -> AsyncIterator[str]:
    yield "aplain"


@asynccontextmanager
async def amanaged(app: App) -> AsyncIterator[str]:
    yield f"amanaged {app.name}"


class Manager:
    def __enter__(self) -> str:
        return "manager"

    def __exit__(self, *error: object) -> None: ...


@pytest.mark.parametrize(
    ("function", "state"),
    [
        (plain, "plain"),
        (with_app, "with shop"),
        (managed, "managed shop"),
        (aplain, "aplain"),
        (amanaged, "amanaged shop"),
        (Manager, "manager"),
    ],
)
def test_every_kind_of_context_manager_will_do(function, state):
    app = App("shop")
    assert app.lifespan(function) is function

    opened = app.open_lifespan()

    async def enter() -> object:
        async with opened as value:
            return value

    if hasattr(opened, "__aenter__"):
        assert asyncio.run(enter()) == state
    else:
        with opened as value:
            assert value == state


def test_without_a_lifespan_there_is_nothing_to_open():
    assert App("shop").open_lifespan() is None


def test_there_is_one_lifespan():
    app = App("shop")
    app.lifespan(plain)

    with pytest.raises(ConfigurationError, match="has the lifespan plain already"):
        app.lifespan(managed)


def test_what_is_no_context_manager_is_refused():
    def two(app: App, other: int) -> Iterator[None]:
        yield

    def nothing() -> None: ...

    with pytest.raises(ConfigurationError, match="it takes the app, or nothing"):
        App("shop").lifespan(two)
    app = App("shop")
    app.lifespan(nothing)
    with pytest.raises(ConfigurationError, match=r"lifespan .*nothing gave None"):
        app.open_lifespan()
