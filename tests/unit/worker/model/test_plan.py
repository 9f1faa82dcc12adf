"""What a worker says that it does."""

from __future__ import annotations

import pytest

from rmqwork import App, ConfigurationError, Queue
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import WorkerSpec, worker_spec


def plan(app: App, **options: int) -> WorkerSpec:
    chosen = WorkerOptions("x:app", name="me", **options)  # type: ignore[arg-type]
    return worker_spec(chosen, Manifest.from_dict(app.manifest()))


def shop(*kinds: str) -> App:
    app = App("shop", broker="memory://", queues=[Queue("high"), Queue("low")])
    if "thread" in kinds:
        app.task(lambda: None, name="a")
    if "async" in kinds:

        @app.task(name="b")
        async def b() -> None: ...

    return app


@pytest.mark.parametrize(
    ("kinds", "options", "says"),
    [
        (["thread"], {"processes": 1, "concurrency": 1}, "1 process, 1 thread task in each"),
        (["thread"], {"processes": 2}, "2 processes, 8 thread tasks in each"),
        (
            ["thread", "async"],
            {"async_concurrency": 500},
            "1 process, 8 thread tasks in each, 500 async tasks in each",
        ),
        ([], {}, "1 process, app 'shop' has no tasks"),
    ],
)
def test_the_summary_of_a_worker(kinds: list[str], options: dict[str, int], says: str):
    assert plan(shop(*kinds), **options).summary == f"me works on high, low: {says}"


def test_the_limits_of_executors_come_from_the_options_or_the_app():
    app = App("shop", broker="memory://", queues=["q"], max_tasks=10, max_memory="1GB")

    assert (plan(app).max_tasks, plan(app).max_memory) == (10, 10**9)
    assert plan(app, max_tasks=5).max_tasks == 5


@pytest.mark.parametrize("given", ["foo", "amqp://a/ http://user:secret@b/"])
def test_what_is_no_address_is_refused_by_its_option(given: str):
    with pytest.raises(ConfigurationError, match=r"--broker: .* is no broker's address") as error:
        plan(shop("thread"), broker=given)
    assert "secret" not in str(error.value)
