"""What tells that a channel confirms nothing, with the time given."""

from __future__ import annotations

from rmqwork._publisher.batch import Batch
from rmqwork._publisher.channel_watch import ChannelWatch
from rmqwork._publisher.limits import Limits
from tests.unit.fakes import publication

LIMITS = Limits(stall=3, unconfirmed=60)


def test_nothing_answered_for_the_limit_is_a_stall():
    watch = ChannelWatch(LIMITS)
    watch.reset(7, 100)

    assert [watch.stalled(7, at) for at in (101.5, 102.9, 103)] == [False, False, True]


def test_any_answer_begins_the_wait_anew():
    watch = ChannelWatch(LIMITS)
    watch.reset(7, 100)

    assert [watch.stalled(8, 102.9), watch.stalled(8, 105.8)] == [False, False]
    assert watch.stalled(8, 105.9)


def test_a_stall_soon_after_another_one_takes_twice_as_long():
    watch = ChannelWatch(LIMITS)
    watch.reset(0, 100)
    assert watch.stalled(0, 103)
    watch.reset(0, 103)

    assert not watch.stalled(0, 108.9)
    assert watch.stalled(0, 109)


def test_a_stall_long_after_another_one_takes_as_long():
    watch = ChannelWatch(LIMITS)
    watch.reset(0, 100)
    assert watch.stalled(0, 103)
    watch.reset(0, 200)

    assert watch.stalled(0, 203)


def test_the_oldest_publication_of_a_busy_channel_is_timed():
    watch = ChannelWatch(LIMITS)
    watch.reset(0, 0)
    batch = Batch([publication(), publication()], 300)
    for entry in batch.entries:
        entry.in_window = True

    assert watch.oldest([], [batch], 20) == 0
    assert watch.oldest([], [batch], 50) == 30
    batch.entries[0].finished = True
    assert watch.oldest([], [batch], 70) == 0, "the second one was first seen now"
    assert watch.oldest([batch.entries[1]], [], 130) == 60
