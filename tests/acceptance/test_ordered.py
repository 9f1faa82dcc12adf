"""Work in order, while workers come and go: real workers, a real broker."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmqwork import App
from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork.testing.broker import Broker
from tests.acceptance.apps import ordered
from tests.acceptance.support import Ledger, Rabbit, Worker
from tests.waiting import until

APP = "tests.acceptance.apps.ordered:app"
CUSTOMERS = [f"customer-{n}" for n in range(6)]
STEPS = 10


@pytest.fixture
def app(vhost_url: str) -> Iterator[App]:
    app = ordered.make(vhost_url)
    yield app
    app.close()


def publish(app: App) -> None:
    """Each customer's steps, in order; some fail at first."""
    step = app.tasks["ordered.step"]
    app.publish_many(
        step.s(customer, number, 1 if number == 4 else 0, 0.03)
        for number in range(STEPS)
        for customer in CUSTOMERS
    )


def out_of_order(ledger: Ledger) -> list[tuple[str, int]]:
    """The steps that started before the one before them had ended."""
    found: list[tuple[str, int]] = []
    ended: defaultdict[str, int] = defaultdict(lambda: -1)
    for line in ledger.lines():
        customer, number = line["customer"], line["number"]
        if line["what"] == "ended":
            ended[customer] = max(ended[customer], number)
        elif number > ended[customer] + 1:
            found.append((customer, number))
    return found


@pytest.mark.parametrize("fault", ["SIGTERM", "SIGKILL", "connections closed"])
def test_order_is_kept_when_a_worker_goes(
    app: App, broker: Broker, vhost_url: str, tmp_path: Path, fault: str
):
    ledger = Ledger(tmp_path / "ledger")
    rabbit = Rabbit(vhost_url)
    with (
        Worker(vhost_url, ledger, "-c", "2", app=APP) as one,
        Worker(vhost_url, ledger, "-c", "2", app=APP) as two,
    ):
        for worker in (one, two):
            worker.wait_log("works on orders")
        publish(app)
        ledger.wait(5, "ended")
        busy = until(
            lambda: next((w for w in (one, two) if w.log("succeeded")), None), "a log line"
        )

        if fault == "connections closed":
            rabbit.close_worker(broker)
        else:
            busy.send(getattr(signal, fault))

        until(lambda: len(_done(ledger)) == len(CUSTOMERS) * STEPS, "all steps")
        assert out_of_order(ledger) == []
        assert {line["attempt"] for line in ledger.lines("ended", number=4)} == {2}
        if fault == "SIGTERM":
            assert busy.wait() == 0
            assert ledger.count("ended") == len(CUSTOMERS) * STEPS  # nothing ran twice
    rabbit.close()


def _done(ledger: Ledger) -> set[tuple[str, int]]:
    return {(line["customer"], line["number"]) for line in ledger.lines("ended")}


def test_a_letter_returns_to_its_partition(app: App, vhost_url: str, tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger")
    step = app.tasks["ordered.step"]
    step.delay("ada", -1)
    step.delay("ada", 1)
    with Worker(vhost_url, ledger, app=APP):
        ledger.wait(1, "ended", customer="ada", number=1)  # a rejected one holds nobody up
        letters = until(lambda: DeadLetters.of(app).read(), "the letter")
        assert [one.reason for one in letters] == ["rejected"]
        assert letters[0].queue.startswith("orders.")

        ledger.path.write_text("")
        DeadLetters.of(app).replay()

        again = ledger.wait(1, "started", number=-1)
        assert again[0]["customer"] == "ada"
