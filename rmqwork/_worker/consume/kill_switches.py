"""The kill switches of a worker's queues: what their states mean for its consumers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Final, Protocol

from rmqwork._topology.kill_switch import KillSwitch, State, Switch
from rmqwork._worker.model.held import HeldDelivery
from rmqwork.types import Failure, Outcome, Reason, Replaced, RetryOutcome, Success

_log = logging.getLogger("rmqwork.worker.consuming")
REASON: Final = "kill switch"
"""Why a queue is not consumed."""
_FAULTS: Final = frozenset({Reason.FAILED, Reason.TIME_LIMIT, Reason.WORKER_CRASHED})


def failed(outcome: Outcome) -> bool | None:
    """Whether an outcome speaks against the queue's tasks; None: neither for nor against.

    What a task has asked for (`Reject`, `RetryLater` that does not count) is no failure.
    """
    match outcome:
        case Success() | Replaced():
            return False
        case RetryOutcome():
            return True if outcome.counts else None
        case Failure():
            return True if outcome.reason in _FAULTS else None


class _Guarded:
    """A queue with a switch."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self.probe: HeldDelivery | None = None
        self.parked: deque[HeldDelivery] = deque()


class Consumers(Protocol):
    """The consumers of queues, as far as switches go."""

    def pause(self, queue: str, reason: str) -> None:
        """End a queue's consumers until no reason is left."""

    def resume(self, queue: str, reason: str) -> None:
        """Take back a reason for which a queue was paused."""

    def set_prefetch(self, queue: str, prefetch: int) -> None:
        """Change a queue's prefetch."""


class KillSwitches:
    """Pauses queues whose tasks keep failing: a circuit breaker per queue.

    Args:
        policies: of the queues that have one.
        consumers: of these queues.
        admit: has a delivery run whose turn has come.
        prefetch: of a queue from which all is taken again.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        policies: Mapping[str, KillSwitch],
        consumers: Consumers,
        admit: Callable[[HeldDelivery], None],
        prefetch: Callable[[str], int],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._clock = clock
        self._consumers = consumers
        self._admit = admit
        self._prefetch = prefetch
        self._queues = {
            queue: _Guarded(Switch(policy, clock)) for queue, policy in policies.items()
        }

    def __bool__(self) -> bool:
        """Whether any queue has one."""
        return bool(self._queues)

    def restricts(self, queue: str) -> bool:
        """Whether less than possible is taken from a queue now."""
        guarded = self._queues.get(queue)
        return guarded is not None and guarded.switch.state is not State.FLOWING

    def admits(self, held: HeldDelivery) -> bool:
        """Whether a delivery may run now; it is kept here, if not, until its turn."""
        guarded = self._queues.get(held.queue)
        if guarded is None or guarded.switch.state is not State.PROBING:
            return True
        if guarded.probe is None or guarded.probe is held:
            guarded.probe = held
            return True
        guarded.parked.append(held)
        return False

    def ended(self, held: HeldDelivery, outcome: Outcome) -> None:
        """A task has ended."""
        guarded = self._queues.get(held.queue)
        verdict = None if guarded is None else failed(outcome)
        if guarded is None or verdict is None:
            return
        if guarded.probe is not held:
            if guarded.switch.ended(verdict):
                self._trip(held.queue, guarded)
            return
        before = guarded.switch.state
        after = guarded.switch.probed(verdict)
        if after is State.WAITING:
            guarded.probe = None
            self._consumers.pause(held.queue, REASON)
        elif after is State.FLOWING and before is not after:
            guarded.probe = None
            self._flow(held.queue, guarded)

    def gone(self, held: HeldDelivery) -> None:
        """A delivery is out of this worker's hands, whatever became of it."""
        guarded = self._queues.get(held.queue)
        if guarded is not None and guarded.probe is held:
            guarded.probe = None
            if guarded.parked and guarded.switch.state is State.PROBING:
                self._admit(guarded.parked.popleft())

    def watch(self) -> None:
        """Let probes begin when it is time; called now and then."""
        for queue, guarded in self._queues.items():
            if guarded.switch.due():
                _log.warning("queue %r: one message at a time is tried", queue)
                self._consumers.set_prefetch(queue, 1)
                self._consumers.resume(queue, REASON)
            self._forget(guarded)

    def remove(self, unwanted: Callable[[HeldDelivery], bool]) -> list[HeldDelivery]:
        """Take those that are unwanted of what waits for its turn."""
        taken: list[HeldDelivery] = []
        for guarded in self._queues.values():
            taken += filter(unwanted, guarded.parked)
            guarded.parked = deque(held for held in guarded.parked if not unwanted(held))
        return taken

    def detail(self) -> Mapping[str, object]:
        """The queues from which less is taken now, for people."""
        now = self._clock()
        return {
            queue: {
                "state": guarded.switch.state.value,
                "again_in_s": round(max(0.0, guarded.switch.until - now), 1),
            }
            for queue, guarded in self._queues.items()
            if guarded.switch.state is not State.FLOWING
        }

    def _trip(self, queue: str, guarded: _Guarded) -> None:
        policy = guarded.switch.policy
        _log.error(
            "queue %r: %.0f %% of its tasks or more have failed within %g s; nothing is taken from "
            "it for %g s, then one message at a time (kill switch)",
            queue,
            100 * policy.ratio,
            policy.window,
            policy.wait,
        )
        self._consumers.pause(queue, REASON)

    def _flow(self, queue: str, guarded: _Guarded) -> None:
        _log.warning("queue %r: its tasks succeed again; all is taken again", queue)
        self._consumers.set_prefetch(queue, self._prefetch(queue))
        while guarded.parked:
            self._admit(guarded.parked.popleft())

    def _forget(self, guarded: _Guarded) -> None:
        """Forget what its channel has taken along."""
        if guarded.probe is not None and not guarded.probe.settleable:
            guarded.probe = None
        guarded.parked = deque(held for held in guarded.parked if held.settleable)
        if guarded.probe is None and guarded.parked and guarded.switch.state is State.PROBING:
            self._admit(guarded.parked.popleft())
