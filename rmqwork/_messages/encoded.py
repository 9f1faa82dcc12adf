"""`EncodedMessage`: a message as JSON, with what decides its route."""

from __future__ import annotations

from dataclasses import dataclass

from rmqwork._messages.codec import dump_message
from rmqwork._messages.message import TaskMessage, message_info
from rmqwork.errors import InvalidMessage


@dataclass(frozen=True, slots=True)
class EncodedMessage:
    """A message that is ready but for its route and its id.

    Args:
        name: the task's.
        body: its JSON.
        version: of the message class.
        queue: what the class, or the task, says.
        value: the message, or the arguments by name: what a callable route sees.
        partition_key: the field that chooses a partition: what the class, or the task, says.
    """

    name: str
    body: bytes
    version: int
    queue: str | None
    value: object
    partition_key: str | None = None


def encode_message(message: TaskMessage) -> EncodedMessage:
    """A message of any class, also of one whose handler is not here.

    Raises:
        InvalidMessage: it is no `TaskMessage`, or cannot be written as JSON.
    """
    if not isinstance(message, TaskMessage):
        raise InvalidMessage(
            f"only a TaskMessage can be published, not {type(message).__name__}; a function-style "
            "task is published by its delay()"
        )
    info = message_info(message)
    body = dump_message(message)
    return EncodedMessage(info.name, body, info.version, info.queue, message, info.partition_key)
