"""What is started by the end of a call: ``link`` and ``link_error``."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from rmqwork._canvas.schemas import Schema, given_schema, incompatibility
from rmqwork._canvas.spec import Chain, Group, HasWork, Step, WorkflowSpec, opened
from rmqwork.errors import ConfigurationError


def links(value: object, option: str) -> tuple[WorkflowSpec, ...]:
    """What the option ``link`` or ``link_error`` starts, as it stands behind a call.

    Args:
        value: a signature, several, or what this function has made of them.
        option: its name.

    Raises:
        ConfigurationError: it is no signature, or takes no value and is not immutable.
    """
    several = [value] if isinstance(value, HasWork) else value
    if not isinstance(several, Iterable) or isinstance(several, (str, bytes)):
        raise ConfigurationError(f"{option} is a signature or a list of them, not {value!r}")
    found: list[WorkflowSpec] = []
    for one in several:
        if isinstance(one, (Step, Chain, Group)):
            found.append(one)
        elif isinstance(one, HasWork):
            found.append(_behind(one, option))
        else:
            raise ConfigurationError(
                f"{option} is a signature (task.s(), task.si(…)) or a list of them, not {one!r}"
            )
    return tuple(found)


def _behind(signature: HasWork, option: str) -> WorkflowSpec:
    work = opened(signature.work)
    if option == "link_error" and isinstance(work, Step) and work.is_open:
        why = incompatibility(_failed_schema(), work.task.taken_schema)
        if why is not None:
            raise ConfigurationError(
                f"{work.task.name} cannot take the FailedTask that link_error gives it: {why}; "
                "annotate its first argument with rmqwork.FailedTask, or write si(…)"
            )
    return work


@cache
def _failed_schema() -> Schema:
    from rmqwork._canvas.failed_task import FailedTask

    return given_schema(FailedTask)
