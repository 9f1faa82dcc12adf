"""Which partition a message goes to, and what is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from pydantic import BaseModel

from rmqwork import App, ConfigurationError, InvalidMessage, KillSwitch, Queue, TaskMessage
from rmqwork._topology.partitions import partition_of
from rmqwork._topology.topology import Bind, Binding, DeclareQueue
from tests.unit.conftest import FakePort

EIGHT = Queue("orders", partitions=8)


class Colour(StrEnum):
    RED = "red"


class Customer(BaseModel):
    id: int


class Ship(TaskMessage, name="orders.ship", queue="orders", partition_key="customer.id"):
    customer: Customer
    note: str = ""


def an_app(*queues: Queue) -> App:
    app = App("shop", broker="memory://partitions", queues=queues or (EIGHT,))
    app.use_publisher(FakePort())
    return app


class TestHash:
    @pytest.mark.parametrize(
        ("key", "eight", "sixty_four"),
        [("", 4, 20), ("a", 2, 10), ("customer-1", 7, 7), ("7", 6, 14), (7, 6, 14), ("ä", 4, 12)],
    )
    def test_it_never_changes(self, key: str | int, eight: int, sixty_four: int):
        assert partition_of(key, 8) == eight
        assert partition_of(key, 64) == sixty_four

    def test_keys_spread_evenly(self):
        counts = Counter(partition_of(f"customer-{n}", 8) for n in range(8000))

        assert len(counts) == 8
        assert max(counts.values()) < 1.15 * min(counts.values())

    def test_one_partition_takes_all(self):
        assert {partition_of(n, 1) for n in range(100)} == {0}


class TestDeclaring:
    def test_a_queue_of_partitions(self):
        plan = an_app(Queue("orders", partitions=2)).topology()

        queues = [one for one in plan if isinstance(one, DeclareQueue)]
        names = [one.name for one in queues]
        assert names == ["rmqwork.unroutable", "orders.dlq", "orders.0", "orders.1"]
        assert queues[2].arguments["x-single-active-consumer"] is True
        assert queues[2].arguments["x-dead-letter-routing-key"] == "orders.dlq"
        ways = {(b.source, b.routing_key) for b in plan if isinstance(b, Bind)}
        for name in ("orders.0", "orders.1"):
            for source in ("rmqwork.tasks", "rmqwork.tasks.due", "rmqwork.return"):
                assert (source, name) in ways
        assert ("rmqwork.tasks", "orders") not in ways

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: Queue("q", partitions=0), "must be 1 to 256"),
            (lambda: Queue("q", partitions=257), "must be 1 to 256"),
            (lambda: Queue("q", partitions=True), "is a number"),
            (lambda: Queue("q", partitions=2, type="classic"), "only a quorum queue"),
            (lambda: Queue("q", partitions=2, max_length=5), "max_length"),
            (lambda: Queue("q", partitions=2, arguments={"x-max-length": 5}), "max_length"),
            (lambda: Queue("q", partitions=2, kill_switch=KillSwitch()), "kill_switch"),
            (lambda: Queue("q", partitions=2, bindings=[Binding("e", "k")]), "bindings"),
            (lambda: Queue("q", partition_key="k"), "which it has not"),
            (lambda: Queue("q", partitions=2, partition_key="a b"), "name of a field"),
            (lambda: Queue("q", partitions=2, partition_key=5), "name of a field"),  # type: ignore[arg-type]
        ],
    )
    def test_what_cannot_be(self, make: Callable[[], object], said: str):
        with pytest.raises(ConfigurationError, match=f"queue 'q': .*{said}"):
            make()

    def test_names_that_clash(self):
        app = an_app(Queue("orders", partitions=2), Queue("orders.1"))

        with pytest.raises(ConfigurationError, match=r"both need the queue 'orders\.1'"):
            app.check()

    def test_a_class_without_the_field(self):
        with pytest.raises(ConfigurationError, match="no field 'customer' for partition_key"):

            class Wrong(TaskMessage, name="wrong", partition_key="customer"):
                other: int

    def test_a_function_without_the_parameter(self):
        with pytest.raises(ConfigurationError, match=r"no field 'customer'.*there are other"):

            @an_app().task(partition_key="customer")
            def wrong(other: int) -> None: ...

    def test_a_message_class_has_its_own(self):
        with pytest.raises(ConfigurationError, match="at class Ship"):

            @an_app().task(partition_key="customer")
            def ship(message: Ship) -> None: ...

    def test_a_task_without_a_key(self):
        app = an_app()

        @app.task(queue="orders", name="plain")
        def plain(x: int) -> None: ...

        with pytest.raises(ConfigurationError, match=r"'plain' goes to queue .* no partition"):
            app.check()
        with pytest.raises(ConfigurationError, match="no partition key"):
            plain.delay(1)

    def test_a_queue_whose_key_a_task_has_not(self):
        app = an_app(Queue("orders", partitions=2, partition_key="customer"))

        @app.task(queue="orders", name="plain")
        def plain(x: int) -> None: ...

        with pytest.raises(ConfigurationError, match=r"no field 'customer' .* they have x"):
            app.check()


class TestPublishing:
    def routes(self, app: App, publish: Callable[[], Any]) -> list[tuple[str, str]]:
        port = FakePort()
        app.use_publisher(port)
        publish()
        return [(one.exchange, one.routing_key) for one in port.sent]

    def test_a_message_by_its_class(self):
        app = an_app()
        where = f"orders.{partition_of(5, 8)}"

        found = self.routes(app, lambda: app.publish(Ship(customer=Customer(id=5))))

        assert found == [("rmqwork.tasks", where)]

    def test_a_call_of_a_function(self):
        app = an_app()

        @app.task(queue="orders", partition_key="customer")
        def ship(customer: str, parcels: int) -> None: ...

        found = self.routes(app, lambda: ship.delay("ada", parcels=2))

        assert found == [("rmqwork.tasks", f"orders.{partition_of('ada', 8)}")]

    def test_a_task_that_is_not_known_by_the_key_of_the_queue(self):
        app = an_app(Queue("orders", partitions=8, partition_key="customer"))

        found = self.routes(app, lambda: app.send_task("elsewhere", {"customer": 3}))

        assert found == [("rmqwork.tasks", f"orders.{partition_of(3, 8)}")]

    def test_a_partition_by_hand(self):
        app = an_app()
        ship = Ship(customer=Customer(id=5))

        found = self.routes(
            app, lambda: app.publish(ship, exchange="rmqwork.tasks", routing_key="orders.6")
        )

        assert found == [("rmqwork.tasks", "orders.6")]

    def test_no_priority(self):
        with pytest.raises(ConfigurationError, match="keep order: a priority would break it"):
            an_app().publish(Ship(customer=Customer(id=5)), priority=3)

    def test_a_step_whose_key_comes_from_the_step_before(self):
        app = an_app(EIGHT, Queue("other"))

        @app.task(queue="other")
        def first() -> str: ...

        @app.task(queue="orders", partition_key="customer")
        def second(customer: str) -> None: ...

        with pytest.raises(InvalidMessage, match="not known when it is published"):
            (first.s() | second.s()).delay()

    def test_a_step_whose_key_is_known(self):
        app = an_app(EIGHT, Queue("other"))

        @app.task(queue="other")
        def first() -> int: ...

        @app.task(queue="orders", partition_key="customer")
        def second(parcels: int, customer: str) -> None: ...

        assert self.routes(app, lambda: (first.s() | second.s(customer="ada")).delay())
