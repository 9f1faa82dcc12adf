"""Dead letters: messages that ended in a dead-letter queue, with the reason::

    from rmqwork.deadletters import DeadLetters, Selection

    letters = DeadLetters.of(app)
    for group in letters.groups():
        print(group.count, group.key.task, group.key.error_type, group.where)
    letters.replay(Selection(errors=["ValueError"]))

Reading removes nothing and changes no order. What is replayed is published and confirmed before its
dead letter is acked. Each verb has a twin for asyncio, its name with an ``a`` in front.
"""

from __future__ import annotations

from rmqwork._admin.deadletters.api import DeadLetters, ReplayOptions
from rmqwork._admin.deadletters.groups import Group, GroupKey, Groups
from rmqwork._admin.deadletters.importing import Imported
from rmqwork._admin.deadletters.reading import Reading, Visit, aread, ascan, read, scan
from rmqwork._admin.deadletters.replaying import Replayed
from rmqwork._admin.deadletters.selection import Selection
from rmqwork._messages.dead_letter import DeadLetter

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
