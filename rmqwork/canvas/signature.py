"""A call of a task as a value: which task, with what, under which options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from typing import Unpack

    from rmqwork.options import PublishOptions
    from rmqwork.results import AsyncResult
    from rmqwork.task import Task

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class Signature(Generic[R_co]):
    """A call that has not been made yet; made by ``task.s(...)`` and ``task.si(...)``.

    Args:
        task: the task, with the options of its view.
        args: its positional arguments.
        kwargs: its named arguments.
        options: of the call, on top of the task's.
        immutable: whether it takes nothing from a task before it (``si``).
    """

    task: Task[..., R_co]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    immutable: bool = False

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.name

    def set(self, **options: Unpack[PublishOptions]) -> Signature[R_co]:
        """The same call with more options."""
        return replace(self, options={**self.options, **options})

    def delay(self) -> AsyncResult[R_co]:
        """Publish it; returns when the broker has confirmed."""
        return self.task.apply_async(self.args, self.kwargs, **self.options)

    async def adelay(self) -> AsyncResult[R_co]:
        """`delay` for asyncio."""
        return await self.task.aapply_async(self.args, self.kwargs, **self.options)

    def apply_async(self, **options: Unpack[PublishOptions]) -> AsyncResult[R_co]:
        """Publish it with more options."""
        return self.set(**options).delay()

    async def aapply_async(self, **options: Unpack[PublishOptions]) -> AsyncResult[R_co]:
        """`apply_async` for asyncio."""
        return await self.set(**options).adelay()
