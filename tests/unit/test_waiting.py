"""What tests wait with."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.waiting import auntil, until


def test_it_returns_what_made_the_condition_true() -> None:
    answers = iter(["", [], "here"])

    assert until(lambda: next(answers), "an answer") == "here"


@pytest.mark.parametrize("what", ["the end", lambda: "the end"])
def test_it_fails_in_time_and_says_what_it_waited_for(what: object) -> None:
    said = re.escape("waited 0.02 s in vain for the end; at last: []")
    with pytest.raises(AssertionError, match=said):
        until(list, what, timeout=0.02)  # type: ignore[arg-type]


async def test_on_the_loop_others_go_on_and_conditions_may_be_coroutines() -> None:
    done: list[int] = []
    asyncio.get_running_loop().call_later(0.01, done.append, 1)

    async def ended() -> int:
        return len(done)

    assert await auntil(lambda: done) == [1]
    assert await auntil(ended) == 1
    with pytest.raises(AssertionError, match="in vain for it"):
        await auntil(lambda: len(done) == 2, timeout=0.02)
