"""What is consumed on a channel of its own: a queue, or one of its partitions."""

from __future__ import annotations

from rmqwork import App, Queue
from rmqwork._config.manifest import Manifest
from rmqwork._worker.model.consumed import Consumed
from rmqwork._worker.model.options import WorkerOptions
from rmqwork._worker.model.plan import worker_spec


def test_a_queue_is_one_with_all_its_sources_and_a_partition_one_by_itself() -> None:
    queues = [Queue("plain"), Queue("old", type="classic"), Queue("ordered", partitions=2)]
    app = App("shop", broker="memory://", queues=queues, default_queue="plain")
    app.task(lambda: None, name="short", queue="plain")
    app.task(lambda: None, name="long", queue="ordered", time_limit=3600)
    spec = worker_spec(WorkerOptions("x:app", prefetch=7), Manifest.from_dict(app.manifest()))

    plain, old, *partitions = spec.consumers()

    assert (plain.queue, plain.prefetch, plain.timeout, plain.partition) == ("plain", 7, None, None)
    assert {"plain", "plain.suspects"} <= set(plain.sources)
    assert old.queue == "old"
    assert "old.suspects" not in old.sources
    assert partitions == [
        Consumed("ordered", (name,), 1, 2 * 3600 + 60, name) for name in ("ordered.0", "ordered.1")
    ]
