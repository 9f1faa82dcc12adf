"""Dead letters are deleted."""

from __future__ import annotations

from rmqwork._admin.deadletters.api import DeadLetters
from rmqwork._admin.deadletters.selection import Selection
from tests.unit.admin.deadletters.dead_letters import COUNT, ids


async def test_purge(letters: DeadLetters) -> None:
    assert await letters.apurge(Selection(errors=["KeyError"])) == 4
    assert await ids(letters) == [f"id{n}" for n in range(COUNT) if n % 3 != 1]
    assert await letters.apurge(Selection()) == 8
    assert await letters.apurge(Selection()) == 0
