from __future__ import annotations

import marshal

from rmqwork import App, Binding, Exchange, Queue, Retry, TaskMessage
from rmqwork._config.manifest import Manifest, QueueEntry, TaskEntry


class Resize(TaskMessage, name="images.resize", queue="high", version=2):
    width: int


def make() -> App:
    app = App(
        "shop",
        broker="amqp://me:s3cret@host/",
        queues=[
            Queue("high", type="classic", max_priority=5),
            Queue("low", max_length=10, bindings=[Binding("events", "a.#", {"x": 1})]),
        ],
        exchanges=[Exchange("events")],
        default_queue="low",
        routes={"shop.urgent": "high"},
    )

    @app.task(retry=Retry(max_attempts=3), time_limit=5, hard_time_limit=9, isolated=True)
    def resize(message: Resize) -> None: ...

    @app.task
    async def fetch(url: str) -> None: ...

    @app.task
    def urgent() -> None: ...

    return app


def test_the_manifest_says_what_the_worker_process_needs():
    manifest = Manifest.from_dict(make().manifest())

    assert manifest.app == "shop"
    assert manifest.default_queue == "low"
    assert manifest.settings.broker == ("amqp://me:s3cret@host/",)
    high, low = Queue("high", type="classic"), Queue("low", max_length=10)
    assert manifest.queues == {
        "high": QueueEntry("high", "classic", False, high.consumed()),
        "low": QueueEntry("low", "quorum", True, low.consumed()),
    }
    assert manifest.tasks == {
        "images.resize": TaskEntry("images.resize", "thread", "high", 2, 3, 5, 9, True),
        "shop.fetch": TaskEntry("shop.fetch", "async", "low"),
        "shop.urgent": TaskEntry("shop.urgent", "thread", "high"),
    }


def test_it_travels_as_plain_values():
    app = make()

    manifest = Manifest.from_dict(marshal.loads(marshal.dumps(app.manifest())))

    assert manifest.declarations == app.topology()
    assert manifest.to_dict() == app.manifest()


def test_the_worker_process_knows_former_names():
    app = make()

    @app.task(version=4, aliases=["shop.plus", "add"])
    def total(x: int) -> None: ...

    plain = marshal.loads(marshal.dumps(app.manifest()))
    tasks = Manifest.from_dict(plain).tasks
    assert tasks["shop.plus"] is tasks["add"] is tasks["shop.total"]
    assert tasks["shop.total"].version == 4
    assert sorted(tasks) == ["images.resize", "shop.fetch", "shop.total", "shop.urgent"]
