"""Dead letters: messages that ended in a dead-letter queue, with the reason.

    from rmqwork.deadletters import DeadLetters, Selection

    letters = DeadLetters.of(app)
    for group in letters.groups():
        print(group.count, group.key.task, group.key.error_type, group.where)
    letters.replay(Selection(errors=["ValueError"]))

Reading removes nothing and changes no order. What is replayed is published and confirmed before its
dead letter is acked. Each verb has a twin for asyncio, its name with an ``a`` in front.
"""

from __future__ import annotations

from rmqwork.deadletter import DeadLetter
from rmqwork.deadletters.face import DeadLetters, ReplayOptions
from rmqwork.deadletters.groups import Group, GroupKey, Groups
from rmqwork.deadletters.importing import Imported
from rmqwork.deadletters.reading import Reading, Visit, aread, ascan, read, scan
from rmqwork.deadletters.replaying import Replayed
from rmqwork.deadletters.selection import Selection

__all__ = [
    "DeadLetter",
    "DeadLetters",
    "Group",
    "GroupKey",
    "Groups",
    "Imported",
    "Reading",
    "ReplayOptions",
    "Replayed",
    "Selection",
    "Visit",
    "aread",
    "ascan",
    "read",
    "scan",
]
