"""A task that is known by its name only: its worker has it, and this process has not."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rmqwork._canvas.links import parse
from rmqwork._messages import codec
from rmqwork._messages.encoded import EncodedMessage
from rmqwork._messages.options import CallOptions
from rmqwork.errors import InvalidMessage

if TYPE_CHECKING:
    from rmqwork._canvas.ports import PublishingApp

ANY: Final[Mapping[str, Any]] = {}
"""A schema that everything fits."""


@dataclass(frozen=True, slots=True)
class RemoteArgumentBinder:
    """A `CallFilling` of fields by name, with nothing to check.

    Args:
        name: the task's.
        into: the field that takes the value before it; ``""``: the value is the whole message.
    """

    name: str
    into: str | None

    def check(self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool) -> None:
        """See `CallFilling.check`."""
        if args:
            raise InvalidMessage(f"{self.name} is not known here; name its fields")
        if is_open and self.into is None:
            raise InvalidMessage(
                f"{self.name} is not known here; say which field takes the value before it: "
                "app.signature(name, fields, into='field'), or into='' for the whole message"
            )
        if is_open and self.into in kwargs:
            raise InvalidMessage(f"{self.name}: {self.into} is given twice")

    def fill(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], value: object
    ) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """See `CallFilling.fill`."""
        if self.into:
            return args, {**kwargs, self.into: value}
        return args, codec.check_fields(self.name, value)

    def given(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], *, is_open: bool
    ) -> tuple[dict[str, Any], bytes]:
        """See `CallFilling.given`."""
        return dict(kwargs), codec.dump_fields(self.name, kwargs)


@dataclass(frozen=True, slots=True)
class RemoteTask:
    """A `TaskLike` that only a worker has.

    Args:
        app: that publishes.
        name: the task's.
        into: see `RemoteArgumentBinder`.
        version: of its fields.
        queue: that its message class names, if that is known.
        partition_key: likewise.
    """

    app: PublishingApp
    name: str
    into: str | None = None
    version: int = 1
    queue: str | None = None
    partition_key: str | None = None

    @property
    def filling(self) -> RemoteArgumentBinder:
        """Which of its fields a call fills."""
        return RemoteArgumentBinder(self.name, self.into)

    @property
    def taken_schema(self) -> Mapping[str, Any]:
        """What it takes from the step before it: nobody knows."""
        return ANY

    @property
    def value_schema(self) -> Mapping[str, Any]:
        """What it gives: nobody knows."""
        return ANY

    def encode(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> EncodedMessage:
        """See `TaskLike.encode`."""
        fields = dict(kwargs)
        body = codec.dump_fields(self.name, fields)
        return EncodedMessage(self.name, body, self.version, self.queue, fields, self.partition_key)

    def call_options(self, given: Mapping[str, Any], below: Mapping[str, Any]) -> CallOptions:
        """See `TaskLike.call_options`."""
        return parse({**below, **given}, f"task {self.name!r}, Signature", time.time())
