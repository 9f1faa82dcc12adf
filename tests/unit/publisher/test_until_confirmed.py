"""Publications are sent again until the broker has them, or somebody says that it is enough."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.until_confirmed import Remaining, UntilConfirmed
from rmqwork.errors import ConfigurationError, Nacked, PublishError, Unroutable
from rmqwork.types import Publication
from tests.unit.fakes import publication, turns
from tests.waiting import auntil


class Submitted:
    """A publisher that keeps batches until the test answers them."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def submit(self, batch: Batch) -> None:
        self.batches.append(batch)

    def answer(self, *errors: PublishError | None) -> None:
        for entry, error in zip(self.batches[-1].entries, errors, strict=True):
            entry.finish(error)

    def sent(self) -> list[str]:
        """The ids of the last batch."""
        return [entry.publication.message_id for entry in self.batches[-1].entries]


class Purpose:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.confirmations = 0
        self.errors: list[Exception | None] = []
        self.rests: list[list[str]] = []
        self.goes_on = True
        self.instead: tuple[Publication, ...] | None = None

    def confirmed(self) -> None:
        self.confirmations += 1

    def refused(self, rest: Remaining) -> tuple[Publication, ...] | None:
        self.errors.append(rest.errors[0])
        return self.instead

    def again(self, rest: tuple[Publication, ...]) -> bool:
        self.rests.append([one.message_id for one in rest])
        return self.goes_on


def rest(publications: Sequence[Publication], errors: Sequence[Exception | None]) -> Remaining:
    """All that was refused, but for what is named ``optional``."""
    left = [
        (one, error) for one, error in zip(publications, errors, strict=True) if error is not None
    ]
    kept = [(one, error) for one, error in left if one.message_id != "optional"]
    errors = tuple(error for _, error in kept)
    return Remaining(tuple(one for one, _ in kept), errors, len(left) - len(kept))


class Harness:
    """Publishing with all that is around it."""

    def __init__(self) -> None:
        self.publisher = Submitted()
        self.purpose = Purpose()
        self.failed: list[int] = []
        self.repairs = 0
        self.publishing = UntilConfirmed(self.publisher, rest, self._repair, pause=self._pause)

    def publish(self, *ids: str) -> None:
        publications = tuple(publication(message_id=one) for one in ids)
        self.publishing.publish(publications, self.purpose)

    async def tried(self, number: int) -> None:
        await auntil(lambda: len(self.publisher.batches) == number)

    def _pause(self, failed: int) -> float:
        self.failed.append(failed)
        return 0.0

    async def _repair(self) -> None:
        self.repairs += 1
        raise ConfigurationError("may not")


@pytest.fixture
async def harness() -> Harness:
    return Harness()


async def test_what_is_confirmed_is_told_once(harness: Harness):
    harness.publish("a", "b")
    assert harness.purpose.confirmations == 0

    harness.publisher.answer(None, None)
    await turns()

    assert (harness.purpose.confirmations, harness.purpose.errors) == (1, [])


async def test_only_what_is_left_is_sent_again_with_growing_waits(harness: Harness):
    harness.publish("a", "b", "c")
    full = Nacked("full")

    harness.publisher.answer(full, None, full)
    await harness.tried(2)
    assert harness.publisher.sent() == ["a", "c"]
    harness.publisher.answer(None, full)
    await harness.tried(3)
    harness.publisher.answer(None)

    assert harness.publisher.sent() == ["c"]
    assert harness.purpose.confirmations == 1
    assert harness.purpose.errors == [full, full]
    assert harness.failed == [0, 1]


async def test_an_error_of_the_whole_call_is_one_of_each(harness: Harness):
    harness.publish("a", "b")
    harness.publisher.batches[-1].end(ConfigurationError("no"))

    await harness.tried(2)

    assert harness.publisher.sent() == ["a", "b"]


async def test_what_nobody_can_take_is_dropped_and_counted(harness: Harness):
    harness.publish("a", "optional")

    harness.publisher.answer(None, Nacked("full"))

    assert (harness.purpose.confirmations, harness.publishing.dropped) == (1, 1)
    assert harness.purpose.errors == []


async def test_it_ends_when_it_is_enough(harness: Harness):
    harness.purpose.goes_on = False
    harness.publish("a")

    harness.publisher.answer(Nacked("full"))
    await auntil(lambda: harness.purpose.rests == [["a"]])
    await turns()

    assert (len(harness.publisher.batches), harness.purpose.confirmations) == (1, 0)


async def test_the_topology_is_declared_again_for_what_has_nowhere_to_go(
    harness: Harness, caplog: pytest.LogCaptureFixture
):
    harness.publish("a")
    harness.publisher.answer(Nacked("full"))
    await harness.tried(2)
    assert harness.repairs == 0

    harness.publisher.answer(Unroutable("no queue"))
    await harness.tried(3)
    await auntil(lambda: harness.repairs == 1)

    assert "could not be declared again: may not" in caplog.text
