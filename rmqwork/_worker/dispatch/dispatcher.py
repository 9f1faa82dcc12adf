"""Give what is ready to executors with room, in batches, once a loop turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from rmqwork._worker.dispatch.quarantine import Quarantine, group_size
from rmqwork._worker.dispatch.ready import Ready
from rmqwork._worker.model.flow import Average, ahead
from rmqwork._worker.model.held import HeldDelivery

E = TypeVar("E")


@dataclass(slots=True, eq=False)
class Seat(Generic[E]):
    """An executor and what it has.

    Args:
        executor: the process.
        slots: tasks at once, by lane.
        isolated: takes suspects only, one group at a time.
    """

    executor: E
    slots: Mapping[str, int]
    isolated: bool = False
    open: bool = True
    held: dict[int, HeldDelivery] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    def room(self, lane: str, beyond: int) -> int:
        """How many more deliveries of a lane it can be given."""
        if not self.open:
            return 0
        if self.isolated:
            return 0 if self.held else 1
        slots = self.slots.get(lane, 0)
        return slots + beyond - self.used.get(lane, 0) if slots else 0

    def wants(self, lane: str, beyond: int) -> bool:
        """Whether it is time to give it more of a lane: half of what is sent ahead is gone.

        Without this, each task that ends would have one delivery sent after it, and each process
        woken for one message.
        """
        return self.room(lane, beyond) > beyond // 2


class Dispatcher(Generic[E]):
    """Matches ready deliveries with executors.

    Args:
        ready: what waits.
        slots: tasks at once in each executor, by lane.
        send: gives a batch of one lane to an executor.
        parts: how many isolated executors there may be at once.
    """

    def __init__(
        self,
        ready: Ready,
        slots: Mapping[str, int],
        send: Callable[[E, str, Sequence[HeldDelivery]], None],
        parts: int = 1,
    ) -> None:
        self._ready = ready
        self._slots = slots
        self._send = send
        self._seats: dict[E, Seat[E]] = {}
        self._durations = {lane: Average() for lane in slots}
        self._scheduled = False
        self._loop = asyncio.get_running_loop()
        self.suspects = Quarantine(parts, group_size(slots))
        """Deliveries that run isolated: a process died with them, or their task wants it."""
        self._stopped = False

    @property
    def seats(self) -> Iterable[Seat[E]]:
        """The executors that take deliveries."""
        return self._seats.values()

    @property
    def running(self) -> Iterable[HeldDelivery]:
        """The deliveries that executors have."""
        return (held for seat in self._seats.values() for held in seat.held.values())

    @property
    def apart(self) -> int:
        """How many deliveries run isolated, or wait for it: they need none of the slots."""
        running = sum(len(seat.held) for seat in self._seats.values() if seat.isolated)
        return len(self.suspects) + running

    def suspect(self, helds: Sequence[HeldDelivery]) -> None:
        """Run these in processes without others: one has killed its process, or each wants to."""
        for held in helds:
            held.await_executor(alone=True)
        self.suspects.add(helds)
        self.schedule()

    def suspect_first(self, held: HeldDelivery) -> None:
        """Run this one with others of first suspicion, in a process without any other."""
        held.await_executor(alone=True)
        self.suspects.add_first(held)
        self.schedule()

    def forget(self, channel: object) -> None:
        """Forget what waits of a channel that has ended."""
        self._ready.forget(channel)
        self.suspects.forget(channel)

    def stop(self) -> None:
        """Give out nothing more."""
        self._stopped = True

    def add(
        self, executor: E, isolated: bool = False, slots: Mapping[str, int] | None = None
    ) -> None:
        """An executor is ready.

        Args:
            executor: which.
            isolated: takes suspects only.
            slots: tasks at once, by lane; None = as many as all have.
        """
        self._seats[executor] = Seat(executor, slots or self._slots, isolated)
        self.schedule()

    def resize(self, slots: Mapping[str, int]) -> None:
        """Executors to come have other numbers of tasks at once."""
        self._slots = slots

    def close_seat(self, executor: E) -> None:
        """Give an executor nothing more."""
        seat = self._seats.get(executor)
        if seat is not None:
            seat.open = False

    def seat(self, executor: E) -> Seat[E] | None:
        """What an executor has; None when it is gone."""
        return self._seats.get(executor)

    def remove(self, executor: E) -> list[HeldDelivery]:
        """An executor is gone; returns what it had, in delivery order."""
        seat = self._seats.pop(executor, None)
        if seat is None:
            return []
        return sorted(seat.held.values(), key=lambda held: held.number)

    def put(self, held: HeldDelivery) -> None:
        """A delivery is ready to run."""
        self._ready.add(held)
        self.schedule()

    def put_back(self, helds: Sequence[HeldDelivery]) -> None:
        """Deliveries that an executor had, and did not start, are ready again."""
        for held in helds:
            held.await_executor()
        self.suspects.put_back([held for held in helds if held.alone])
        self._ready.put_back([held for held in helds if not held.alone])
        self.schedule()

    def take(self, executor: E, number: int, duration: float | None = None) -> HeldDelivery | None:
        """An executor is done with a delivery; None when it does not have it."""
        seat = self._seats.get(executor)
        held = seat.held.pop(number, None) if seat is not None else None
        if seat is None or held is None:
            return None
        seat.used[held.lane] -= 1
        if duration is not None:
            self._durations[held.lane].add(duration)
        self.schedule()
        return held

    def schedule(self) -> None:
        """Give out what can be given at the end of this loop turn."""
        if not self._scheduled and not self._stopped:
            self._scheduled = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._scheduled = False
        if self._stopped:
            return
        for lane, slots in self._slots.items():
            if slots and self._ready.has(lane):
                self._fill(lane, ahead(slots, self._durations[lane].value))
        if self.suspects:
            self._isolate()

    def _fill(self, lane: str, beyond: int) -> None:
        seats = [seat for seat in self._seats.values() if seat.wants(lane, beyond)]
        room = {seat: seat.room(lane, beyond) for seat in seats if not seat.isolated}
        batches: dict[Seat[E], list[HeldDelivery]] = {seat: [] for seat in room}
        while room:
            seat = max(room, key=room.__getitem__)
            held = self._ready.next(lane) if room[seat] > 0 else None
            if held is None:
                break
            room[seat] -= 1
            batches[seat].append(held)
        for seat, batch in batches.items():
            if batch:
                self._give(seat, lane, batch)

    def _isolate(self) -> None:
        for seat in self._seats.values():
            if self.suspects and seat.isolated and seat.room("", 0):
                group = self.suspects.next()
                for lane in dict.fromkeys(held.lane for held in group):
                    self._give(seat, lane, [held for held in group if held.lane == lane])

    def _give(self, seat: Seat[E], lane: str, batch: Sequence[HeldDelivery]) -> None:
        for held in batch:
            held.send()
            seat.held[held.number] = held
        seat.used[lane] = seat.used.get(lane, 0) + len(batch)
        self._send(seat.executor, lane, batch)
