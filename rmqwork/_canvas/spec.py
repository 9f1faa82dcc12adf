"""What a workflow is made of, as values: calls of tasks, chains and groups of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from rmqwork._canvas.schemas import ANY, EACH, Schema, incompatibility
from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    from rmqwork._canvas.ports import TaskLike

NOTHING: Final[Mapping[str, Any]] = {}
DEEPEST: Final = 100
"""Levels of chains and groups inside each other."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a task.

    Args:
        task: which.
        args: positional arguments.
        kwargs: named arguments.
        options: of the call, on top of those of the task; ``link`` and ``link_error`` are tuples
            of `WorkflowSpec`.
        immutable: whether it takes nothing from a step before it (``si``).
        is_open: whether its first argument is left to the value before it.
        items: of ``map`` and ``starmap``: the arguments of each run; None: it runs once.
    """

    task: TaskLike
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    immutable: bool = False
    is_open: bool = False
    items: tuple[tuple[Any, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """One after the other, each with the value of the one before it."""

    steps: tuple[WorkflowSpec, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _depth(self.steps))


@dataclass(frozen=True, slots=True)
class Group:
    """All at once; its value is the list of theirs."""

    members: tuple[WorkflowSpec, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", _depth(self.members))


WorkflowSpec = Step | Chain | Group


@dataclass(frozen=True)
class HasWork:
    """What stands for a workflow: the base of all signatures.

    Args:
        work: what is to run.
    """

    work: WorkflowSpec


def _depth(parts: tuple[WorkflowSpec, ...]) -> int:
    """How many levels of chains and groups are inside each other.

    Raises:
        ConfigurationError: more than a worker's JSON decoder can follow.
    """
    depth = 1 + max((part.depth for part in parts if not isinstance(part, Step)), default=0)
    if depth > DEEPEST:
        raise ConfigurationError(
            f"chains and groups are more than {DEEPEST} levels inside each other; chain(*steps), "
            "group(*members) and `|` are flat, however many there are"
        )
    return depth


def is_open(work: WorkflowSpec) -> bool:
    """Whether it waits for a value before it."""
    match work:
        case Step():
            return work.is_open
        case Chain(steps):
            return is_open(steps[0]) if steps else False
        case Group(members):
            return any(is_open(member) for member in members)


def is_immutable(work: WorkflowSpec) -> bool:
    """Whether it takes nothing, whatever is before it."""
    match work:
        case Step():
            return work.immutable
        case Chain(steps):
            return is_immutable(steps[0]) if steps else True
        case Group(members):
            return all(is_immutable(member) for member in members)


def opened(work: WorkflowSpec) -> WorkflowSpec:
    """The same as it stands behind another: a call that is not immutable takes the value.

    Raises:
        ConfigurationError: it has no room for a value.
    """
    match work:
        case Step():
            return work if work.is_open or work.immutable else _opened_step(work)
        case Chain((first, *rest)):
            return replace(work, steps=(opened(first), *rest))
        case Group(members):
            return replace(work, members=tuple(map(opened, members)))
        case _:
            return work


def _opened_step(step: Step) -> Step:
    try:
        step.task.filling.check(step.args, step.kwargs, is_open=True)
    except InvalidMessage as error:
        raise ConfigurationError(
            f"{error}; the value of the step before it goes in front of its arguments: leave the "
            "first one out, or write si() for a step that takes nothing"
        ) from None
    return replace(step, is_open=True)


def filled(work: WorkflowSpec, value: object) -> WorkflowSpec:
    """The same with a value in front, where it is open."""
    match work:
        case Step():
            if not work.is_open:
                return work
            args, kwargs = work.task.filling.fill(work.args, work.kwargs, value)
            return replace(work, args=args, kwargs=kwargs, is_open=False)
        case Chain((first, *rest)):
            return replace(work, steps=(filled(first, value), *rest))
        case Group(members):
            return replace(work, members=tuple(filled(member, value) for member in members))
        case _:
            return work


def joined(works: Iterable[WorkflowSpec]) -> WorkflowSpec:
    """One after the other; an empty chain passes its value on, and so is left out.

    Raises:
        ConfigurationError: one cannot take what the one before it gives.
    """
    steps: list[WorkflowSpec] = []
    for work in works:
        parts = _parts(work)
        if steps and parts:
            start = opened(parts[0])
            for why in _incompatibilities(steps[-1], start):
                raise ConfigurationError(f"{why}; write si() for a step that takes nothing")
            parts = (start, *parts[1:])
        steps += parts
    return steps[0] if len(steps) == 1 else Chain(tuple(steps))


def _parts(work: WorkflowSpec) -> tuple[WorkflowSpec, ...]:
    """The steps of a chain that has no options of its own; or the one that it is."""
    return work.steps if isinstance(work, Chain) and not work.options else (work,)


def _incompatibilities(before: WorkflowSpec, after: WorkflowSpec) -> Iterator[str]:
    """Why a value cannot go from one part of a workflow to the next, in words."""
    schema, giver = _given(before)
    seen: set[int] = set()
    for step in _takers(after):
        taken = step.task.taken_schema
        if id(taken) in seen:
            continue
        seen.add(id(taken))
        why = incompatibility(schema, taken)
        if why is not None:
            yield f"{step.task.name} cannot take what {giver} gives: {why}"


def _given(work: WorkflowSpec) -> tuple[Schema, str]:
    """What a part of a workflow gives, and what it is called."""
    while isinstance(work, Chain) and work.steps:
        work = work.steps[-1]
    match work:
        case Step():
            schema = work.task.value_schema
            if work.items is not None:
                schema = {"type": "array", EACH: [schema]}
            return schema, work.task.name
        case Group(members):
            each = [_given(member)[0] for member in members]
            return {"type": "array", EACH: each}, "the group before it"
        case _:
            return ANY, "an empty chain"


def _takers(work: WorkflowSpec) -> Iterator[Step]:
    """The calls that take what is before a part of a workflow."""
    waiting = [work]
    while waiting:
        match waiting.pop():
            case Step() as step if step.is_open:
                yield step
            case Chain((first, *_)):
                waiting.append(first)
            case Group(members):
                waiting += members


def with_options(work: WorkflowSpec, options: Mapping[str, Any]) -> WorkflowSpec:
    """The same with more options; see `rmqwork._canvas.freeze` for what they mean to many."""
    return replace(work, options={**work.options, **options}) if options else work


def steps_of(work: WorkflowSpec) -> list[Step]:
    """All calls in it, in order."""
    found: list[Step] = []
    left = [work]
    while left:
        one = left.pop()
        match one:
            case Step():
                found.append(one)
            case Chain(parts) | Group(parts):
                left += reversed(parts)
    return found
