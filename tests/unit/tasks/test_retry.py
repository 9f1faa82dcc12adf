from __future__ import annotations

import subprocess
import sys

import pytest
import tenacity

from rmqwork import ConfigurationError, Retry
from rmqwork._tasks.retry import LONGEST, decide, wait_after

ERROR = ValueError("no")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"max_attempts": 0}, "a number from 1"),
        ({"max_attempts": True}, "a number from 1"),
        ({"max_attempts": "5"}, "a number from 1"),
        ({"max_attempts": None}, "would try for ever"),
        ({"wait": -1}, "0 or more seconds"),
        ({"wait": "1"}, "a number of seconds"),
        ({"stop": 3}, "a tenacity stop"),
        ({"on": "ValueError"}, "no exception class"),
        ({"give_up_on": (ValueError, 3)}, "no exception class"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(values, says):
    with pytest.raises(ConfigurationError, match=says):
        Retry(**values)


def test_the_default_waits_1_2_4_seconds_and_more_with_jitter_up_to_60():
    retry = Retry(max_attempts=None, stop=tenacity.stop_never)

    for attempt in range(1, 12):
        delay = decide(retry, attempt, ERROR)
        least = min(60, 2 ** (attempt - 1))
        assert delay is not None
        assert least <= delay <= min(60, least + 1)


def test_the_attempts_end():
    retry = Retry(max_attempts=3, wait=2)

    assert [decide(retry, attempt, ERROR) for attempt in (1, 2, 3, 4)] == [2, 2, None, None]


def test_waits_of_tenacity_see_the_attempt_and_the_error():
    def by_error(state: tenacity.RetryCallState) -> float:
        assert state.outcome is not None
        assert state.outcome.exception() is ERROR
        return state.attempt_number * 10

    assert decide(Retry(wait=tenacity.wait_exponential(multiplier=1)), 3, ERROR) == 4
    assert decide(Retry(wait=tenacity.wait_fixed(3) + tenacity.wait_fixed(2)), 1, ERROR) == 5
    assert decide(Retry(wait=by_error), 2, ERROR) == 20


def test_stops_of_tenacity_see_the_time_since_the_publish():
    after = Retry(max_attempts=None, wait=5, stop=tenacity.stop_after_delay(60))
    before = Retry(max_attempts=None, wait=5, stop=tenacity.stop_before_delay(60))

    assert decide(after, 9, ERROR, 59) == 5
    assert decide(after, 9, ERROR, 60) is None
    assert decide(before, 9, ERROR, 54) == 5
    assert decide(before, 9, ERROR, 56) is None
    assert decide(after, 9, ERROR, None) == 5


def test_only_some_errors_are_worth_it():
    retry = Retry(wait=1, on=(OSError, KeyError), give_up_on=ConnectionError)

    assert decide(retry, 1, OSError()) == 1
    assert decide(retry, 1, KeyError()) == 1
    assert decide(retry, 1, ConnectionResetError()) is None
    assert decide(retry, 1, ValueError()) is None
    assert decide(retry, 1, SystemExit()) is None


def test_a_system_exit_is_a_failure_like_any_other():
    assert decide(Retry(wait=1), 1, SystemExit(1)) == 1
    assert decide(Retry(wait=1), 1, KeyboardInterrupt()) == 1
    assert decide(Retry(wait=1, give_up_on=SystemExit), 1, SystemExit(1)) is None


def boom(state):
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("retry", "says"),
    [
        (Retry(wait=boom), "the wait of the Retry raised RuntimeError"),
        (Retry(wait=lambda state: None), "the wait of the Retry raised ValueError"),  # type: ignore[arg-type, return-value]
        (Retry(wait=lambda state: float("nan")), "0 or more seconds, not nan"),
        (Retry(wait=lambda state: -1), "0 or more seconds"),
        (Retry(stop=boom), "the stop of the Retry raised RuntimeError"),
    ],
)
def test_a_broken_policy_says_so(retry, says):
    with pytest.raises(ConfigurationError, match=says):
        decide(retry, 1, ERROR)


def test_a_wait_beyond_300_days_is_cut():
    assert decide(Retry(wait=1e12), 1, ERROR) == LONGEST


def test_the_wait_can_be_asked_however_many_attempts_there_were():
    assert wait_after(Retry(max_attempts=1, wait=7), 5, ERROR) == 7
    assert wait_after(Retry(max_attempts=1, wait=tenacity.wait_fixed(3)), 5, ERROR) == 3


def test_the_default_policy_needs_no_tenacity():
    code = (
        "import sys; from rmqwork._tasks.retry import Retry, decide;"
        "decide(Retry(), 1, ValueError());"
        "assert 'tenacity' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("policy", "error", "wanted"),
    [
        (Retry(on=OSError), ExceptionGroup("", [OSError(), ExceptionGroup("", [OSError()])]), True),
        (Retry(on=OSError), ExceptionGroup("", [OSError(), ValueError()]), False),
        (Retry(on=ExceptionGroup), ExceptionGroup("", [ValueError()]), True),
        (Retry(on=(OSError, ExceptionGroup)), ExceptionGroup("", [OSError()]), True),
        (
            Retry(on=ExceptionGroup, give_up_on=ValueError),
            ExceptionGroup("", [OSError(), ExceptionGroup("", [ValueError()])]),
            False,
        ),
        (Retry(give_up_on=ExceptionGroup), ExceptionGroup("", [OSError()]), False),
        (Retry(), BaseExceptionGroup("", [KeyboardInterrupt(), OSError()]), True),
    ],
)
def test_a_group_is_worth_another_try_as_its_leaves_are(policy, error, wanted):
    assert policy.wants(error) is wanted
