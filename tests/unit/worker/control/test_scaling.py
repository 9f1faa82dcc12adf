"""Other numbers for a worker that runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rmqwork._control.wire import Command
from rmqwork._worker.control.scaling import Scaling, scaled
from rmqwork._worker.model.plan import WorkerSpec
from rmqwork.errors import ConfigurationError
from tests.unit.worker.specs import shop_spec

SPEC = shop_spec(processes=2, concurrency=4, async_concurrency=50)


def test_what_is_not_named_stays() -> None:
    assert scaled(SPEC, {}) == SPEC
    more = scaled(SPEC, {"processes": 3, "concurrency": None})
    assert (more.processes, more.slots) == (3, {"thread": 4, "async": 50})
    assert scaled(SPEC, {"concurrency": 9}).slots == {"thread": 9, "async": 50}
    assert SPEC.slots == {"thread": 4, "async": 50}, "a plan never changes"


def test_a_lane_that_no_task_uses_keeps_none() -> None:
    threads_only = replace(SPEC, slots={"thread": 4, "async": 0})

    assert scaled(threads_only, {"async_concurrency": 7}).slots == {"thread": 4, "async": 0}


@pytest.mark.parametrize("name", ["processes", "concurrency", "async_concurrency"])
@pytest.mark.parametrize("value", [0, -1, 1 << 30, 2.0, "2", True])
def test_numbers_out_of_their_range_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} is a number from 1 to"):
        scaled(SPEC, {name: value})


def test_the_worker_is_resized_only_if_something_changes() -> None:
    resized: list[WorkerSpec] = []
    scaling = Scaling(lambda: SPEC, resized.append)

    def tell(**what: Any) -> dict[str, Any]:
        return scaling.tell(Command("scale", what, by="op"))

    assert tell(processes=2) == {"processes": 2, "slots": {"thread": 4, "async": 50}}
    assert resized == []
    assert tell(processes=5)["processes"] == 5
    assert [spec.processes for spec in resized] == [5]
