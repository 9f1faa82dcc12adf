"""Two workers that share a shard, and a broker that keeps count."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field

from rmqwork._workflows.context import WorkflowContext
from rmqwork._workflows.join import (
    Abandon,
    Ack,
    Complete,
    Effect,
    Fail,
    JoinMessage,
    PublishDone,
    PublishFence,
    Shard,
)
from rmqwork._workflows.join_messages import Kind, Opened

SIZE = 3
JOINS = ("a", "b")


@dataclass(eq=False)
class Message:
    told: JoinMessage

    @property
    def what(self) -> tuple[str, str, int]:
        return (self.told.join, self.told.kind.value, self.told.index)


@dataclass(eq=False)
class Sent:
    """A publication of a worker on its way."""

    worker: Worker
    effect: object
    arrived: bool = False


@dataclass(eq=False)
class Worker:
    shard: Shard[Message]
    unacked: list[Message] = field(default_factory=list)
    crashed: bool = False


class SharedShardHarness:
    """Two workers and the shard that they share; what is sent arrives, and is confirmed, when the
    test says so."""

    def __init__(self) -> None:
        self.names = (f"fence-{n}" for n in itertools.count())
        self.ready: list[Message] = []
        self.sent: list[Sent] = []
        self.workers = [self.worker(), self.worker()]
        self.active = 0
        self.published: set[tuple[str, str, int]] = set()
        self.followed: Counter[str] = Counter()
        self.marked: set[str] = set()
        self.allowed: Counter[str] = Counter(JOINS)

    def worker(self) -> Worker:
        return Worker(Shard(1e9, self.names))

    # ── what members and their publishers do ──────────────────────────────────────────────────

    def put(self, kind: Kind, join: str, index: int = 0, body: bytes = b"") -> None:
        opened = Opened(SIZE, "", WorkflowContext(join, 0.0)) if kind is Kind.OPEN else None
        message = Message(JoinMessage(kind, join, 0.0, opened, index, body))
        self.ready.append(message)
        if kind in (Kind.OPEN, Kind.PART, Kind.FAILED):
            self.published.add(message.what)

    def open(self, join: str) -> None:
        self.put(Kind.OPEN, join)

    def part(self, join: str, index: int) -> None:
        self.put(Kind.PART, join, index, b"%d" % index)

    def everything(self, join: str) -> None:
        self.open(join)
        for index in range(SIZE):
            self.part(join, index)

    def failure(self, index: int) -> None:
        self.put(Kind.FAILED, "b", index, b"no")

    # ── what the broker does ──────────────────────────────────────────────────────────────────

    def deliver(self, number: int) -> None:
        worker = self.workers[self.active]
        for _ in range(min(number, len(self.ready))):
            message = self.ready.pop(0)
            worker.unacked.append(message)
            self.carry_out(worker, worker.shard.received(message.told, message))

    def all_publications_arrive(self) -> None:
        for sent in [one for one in self.sent if not one.arrived]:
            self.arrive(sent)

    def all_that_arrived_is_confirmed(self) -> None:
        for sent in [one for one in self.sent if one.arrived]:
            self.confirm(sent)

    def arrive(self, sent: Sent) -> None:
        sent.arrived = True
        match sent.effect:
            case PublishFence(name):
                self.put(Kind.FENCE, name)
            case PublishDone(join):
                self.marked.add(join)
                self.put(Kind.DONE, join)
            case Complete(join, _, values):
                assert values == [b"%d" % index for index in range(SIZE)]
                self.followed[join] += 1
            case Fail(join, _, failure):
                assert (join, failure) == ("b", b"no")
                self.followed[join] += 1

    def confirm(self, sent: Sent) -> None:
        self.sent.remove(sent)
        shard = sent.worker.shard
        if sent.worker.crashed:
            return
        match sent.effect:
            case PublishDone(join):
                self.carry_out(sent.worker, shard.marked(join))
            case Complete(join) | Fail(join):
                self.carry_out(sent.worker, shard.followed(join))

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────

    def crash(self, which: int, next_one: int, arrives: bool) -> None:
        worker = self.workers[which]
        self.in_the_window(worker)
        worker.crashed = True
        for sent in [one for one in self.sent if one.worker is worker and not one.arrived]:
            if arrives:
                self.arrive(sent)
            self.sent.remove(sent)
        self.give_back(worker, next_one)
        self.workers[which] = self.worker()

    def lose_the_channel(self, which: int, next_one: int) -> None:
        worker = self.workers[which]
        if which != next_one:  # who is served again knows what it has published
            self.in_the_window(worker)
        worker.shard.lost()
        self.give_back(worker, next_one)

    def hand_back(self, next_one: int) -> None:
        worker = self.workers[self.active]
        self.in_the_window(worker)
        assert set(worker.shard.release()) <= set(worker.unacked)
        self.give_back(worker, next_one)

    def in_the_window(self, worker: Worker) -> None:
        """What follows has left, or is about to, and its marker is not in the queue."""
        for sent in self.sent:
            effect = sent.effect
            if sent.worker is not worker or not isinstance(effect, Complete | Fail | PublishDone):
                continue
            if effect.join not in self.marked:
                self.allowed[effect.join] += 1

    def give_back(self, worker: Worker, next_one: int) -> None:
        if worker.unacked or worker is self.workers[self.active]:
            self.ready[:0] = worker.unacked
            worker.unacked = []
        if worker is self.workers[self.active]:
            self.active = next_one

    # ── effects ───────────────────────────────────────────────────────────────────────────────

    def carry_out(self, worker: Worker, effects: list[Effect[Message]]) -> None:
        for effect in effects:
            match effect:
                case Ack(tokens):
                    for message in tokens:
                        worker.unacked.remove(message)  # raises if it was not held
                case Abandon():
                    raise AssertionError("nothing is that old")
                case _:
                    self.sent.append(Sent(worker, effect))

    # ── what holds ────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        """What follows is published once, and again only after a crash in the window; nothing
        leaves the queue before it."""
        for join in JOINS:
            assert self.followed[join] <= self.allowed[join]
        held = [message for worker in self.workers for message in worker.unacked]
        there = {message.what for message in [*self.ready, *held]}
        for what in self.published:
            join, kind, index = what
            copies = {what} | ({(join, "part", index)} if kind == "failed" else set())
            if not self.followed[join] and not copies & there:
                assert kind == "failed"
                assert (join, "failed") in {one[:2] for one in there}

    def finish(self) -> None:
        """No more faults: everything comes to its end."""
        while self.ready or self.sent:
            self.deliver(1000)
            for sent in list(self.sent):
                if not sent.arrived:
                    self.arrive(sent)
            for sent in [one for one in self.sent if one.arrived]:
                self.confirm(sent)
        held = [message for worker in self.workers for message in worker.unacked]
        assert {message.told.kind for message in held} <= {Kind.DONE}
        assert all(self.followed[join] for join in JOINS)
        assert all(worker.shard.open == 0 for worker in self.workers[self.active : self.active + 1])
