"""The key in a message that chooses one of the partitions of its queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic_core import to_jsonable_python

from rmqwork.errors import InvalidMessage

_ABSENT: Final = object()


def key_of(message: object, path: str, task: str) -> str:
    """The key in a message, as text.

    Args:
        message: a model, or the arguments by name.
        path: the field's name; dots lead into fields of fields.
        task: its name.

    Raises:
        InvalidMessage: there is no such field, or no text or integer in it.
    """
    value: Any = message
    for name in path.split("."):
        value = (
            value.get(name, _ABSENT)
            if isinstance(value, Mapping)
            else getattr(value, name, _ABSENT)
        )
        if value is _ABSENT:
            raise InvalidMessage(
                f"{task}: its partition key {path!r} is not known when it is published; give it "
                "with the call"
            )
    if type(value) is not str and type(value) is not int:
        value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidMessage(
            f"{task}: its partition key {path!r} is {value!r}; it must be a text or an integer"
        )
    return str(value)


def _plain(value: object) -> object:
    """A UUID, an enumeration's member, a date as they are written to the body."""
    to_plain: Callable[..., object] = to_jsonable_python
    return to_plain(value, fallback=lambda _: None)
