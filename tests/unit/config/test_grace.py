from __future__ import annotations

import pytest

from rmqwork._config.grace import check_termination, needed, shortage
from rmqwork._config.manifest import TaskEntry
from rmqwork.errors import ConfigurationError

TASKS = {
    "slow": TaskEntry("slow", "thread", "q", time_limit=40, hard_time_limit=80),
    "endless": TaskEntry("endless", "thread", "q"),
    "elsewhere": TaskEntry("elsewhere", "thread", "other", time_limit=1000),
}


@pytest.mark.parametrize(("limit", "grace"), [(80, 100), (0.5, 1), (20, 25), (21, 27)])
def test_a_task_ends_before_it_is_told_to_at_four_fifths(limit, grace):
    assert needed(limit) == grace


def test_only_the_tasks_of_the_workers_queues_count():
    assert shortage(100, TASKS, ["q"], "--grace") is None
    text = shortage(99, TASKS, ["q"], "--grace")
    assert text is not None
    assert "slow may run 80 s" in text
    assert "--grace 100" in text
    assert shortage(1, TASKS, ["empty"], "--grace") is None


def test_a_worker_that_is_killed_before_its_grace_is_over_does_not_start():
    assert check_termination(25, None) is None
    assert check_termination(25, 40) is None
    assert "needs up to 15 s" in str(check_termination(25, 30))
    with pytest.raises(ConfigurationError, match="terminationGracePeriodSeconds to 40"):
        check_termination(25, 25)
