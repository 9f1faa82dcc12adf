"""The retry policy of a task, and its decision as a value.

The waiting happens in the broker; here is only how long, and whether at all.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rmqwork._tasks.leaves import leaves
from rmqwork.errors import ConfigurationError

if TYPE_CHECKING:
    from tenacity import RetryCallState

_FIRST: Final = 1.0
_MAX_WAIT: Final = 60.0
LONGEST: Final = 300 * 86400.0
"""Seconds that a wait is cut to: 300 days."""

Errors = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and after which waits a task that raised is run again.

    Args:
        max_attempts: runs at most, the first one counted; None = as ``stop`` says.
        wait: a tenacity wait (``tenacity.wait_fixed(5)``, sums of waits, ...), or a number of
            seconds; the default is ``wait_exponential_jitter(initial=1, max=60)``.
        stop: a tenacity stop that ends the retries earlier. ``stop_after_delay`` counts from when
            the message was published.
        on: the exceptions that are worth another try; of an exception group, each leaf has to be.
            `Exception`, the default, includes `SystemExit` and `KeyboardInterrupt` that a task
            raises.
        give_up_on: those that are not, though they are among ``on``; of a group, one leaf is
            enough.

    Raises:
        ConfigurationError: values that cannot be used.
    """

    max_attempts: int | None = 5
    wait: Callable[[RetryCallState], float] | float | None = None
    stop: Callable[[RetryCallState], bool] | None = None
    on: Errors = Exception
    give_up_on: Errors = ()

    def __post_init__(self) -> None:
        most: object = self.max_attempts
        if most is None and self.stop is None:
            raise ConfigurationError(
                "Retry(max_attempts=None) without stop= would try for ever; say when to give up"
            )
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise ConfigurationError(f"Retry(max_attempts={most!r}): a number from 1")
        if self.wait is not None and not callable(self.wait):
            try:
                _checked(self.wait)
            except ValueError as error:
                raise ConfigurationError(f"Retry(wait={self.wait!r}): {error}") from None
        if self.stop is not None and not callable(self.stop):
            raise ConfigurationError(f"Retry(stop={self.stop!r}): a tenacity stop")
        for name in ("on", "give_up_on"):
            object.__setattr__(self, name, _errors(name, getattr(self, name)))

    def wants(self, error: BaseException) -> bool:
        """Whether an exception is worth another try; a group is if each of its leaves is, or if
        ``on`` names a class of groups and ``give_up_on`` none of its leaves."""
        if isinstance(error, self.give_up_on):
            return False
        if isinstance(error, BaseExceptionGroup):
            if not any(isinstance(leaf, self.give_up_on) for leaf in leaves(error)):
                named = [cls for cls in _tuple(self.on) if issubclass(cls, BaseExceptionGroup)]
                return isinstance(error, tuple(named)) or all(map(self.wants, error.exceptions))
            return False
        if isinstance(error, self.on):
            return True
        # What a task raises ends no process, so these are failures like any other.
        return not isinstance(error, Exception) and Exception in _tuple(self.on)


def decide(
    retry: Retry, attempt: int, error: BaseException, elapsed: float | None = None
) -> float | None:
    """Whether a task that raised is run again.

    Args:
        retry: its policy.
        attempt: the number of the run that has just failed, from 1.
        error: what it raised.
        elapsed: seconds since the message was published; None = unknown.

    Returns:
        seconds to wait, or None: no other run.

    Raises:
        ConfigurationError: the wait or the stop raised, or gave no usable answer.
    """
    if not retry.wants(error):
        return None
    return next_delay(retry, attempt, error, elapsed)


def next_delay(
    retry: Retry, attempt: int, error: BaseException, elapsed: float | None = None
) -> float | None:
    """`decide` for an error that is known to be worth another try."""
    if retry.max_attempts is not None and attempt >= retry.max_attempts:
        return None
    if retry.stop is None:
        return wait_after(retry, attempt, error, elapsed)
    state = _state(attempt, error, elapsed)
    state.upcoming_sleep = delay = _wait(retry, state)
    try:
        return None if retry.stop(state) else delay
    except Exception as broken:
        raise ConfigurationError(f"the stop of the Retry raised {broken!r}") from broken


def wait_after(
    retry: Retry, attempt: int, error: BaseException, elapsed: float | None = None
) -> float:
    """Seconds to wait after a failed run, however many there have been; see `decide`."""
    if retry.wait is None:
        return _default_wait(attempt)
    return _wait(retry, _state(attempt, error, elapsed))


def _wait(retry: Retry, state: RetryCallState) -> float:
    if retry.wait is None:
        return _default_wait(state.attempt_number)
    try:
        return _checked(retry.wait(state) if callable(retry.wait) else retry.wait)
    except Exception as broken:
        raise ConfigurationError(f"the wait of the Retry raised {broken!r}") from broken


def _default_wait(attempt: int) -> float:
    """``wait_exponential_jitter(initial=1, max=60)`` without importing tenacity."""
    return min(_MAX_WAIT, _FIRST * 2.0 ** min(attempt - 1, 32) + random.uniform(0, 1))


def _state(attempt: int, error: BaseException, elapsed: float | None) -> RetryCallState:
    from tenacity import RetryCallState

    state = RetryCallState(None, None, (), {})  # type: ignore[arg-type]
    state.attempt_number = attempt
    state.set_exception((type(error), error, error.__traceback__))
    state.start_time = 0.0
    state.outcome_timestamp = elapsed or 0.0
    return state


def _checked(delay: object) -> float:
    if isinstance(delay, bool) or not isinstance(delay, (int, float)):
        raise ValueError(f"a wait is a number of seconds, not {delay!r}")  # noqa: TRY004
    if not math.isfinite(delay) or delay < 0:
        raise ValueError(f"a wait is 0 or more seconds, not {delay!r}")
    return min(float(delay), LONGEST)


def _tuple(errors: Errors) -> tuple[type[BaseException], ...]:
    return errors if isinstance(errors, tuple) else (errors,)


def _errors(name: str, errors: object) -> tuple[type[BaseException], ...]:
    found = tuple(errors) if isinstance(errors, (tuple, list, set, frozenset)) else (errors,)
    classes: list[type[BaseException]] = []
    for error in found:
        if not (isinstance(error, type) and issubclass(error, BaseException)):
            raise ConfigurationError(f"Retry({name}=…): {error!r} is no exception class")
        classes.append(error)
    return tuple(classes)


DEFAULT: Final = Retry()
"""What a `RetryLater` of a task without a policy goes by."""
