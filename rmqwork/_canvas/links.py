"""The options ``link`` and ``link_error``: signatures that the end of a call starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Final

from rmqwork._canvas.schemas import Schema, given_schema, incompatibility
from rmqwork._canvas.spec import Chain, Group, HasWork, Step, WorkflowSpec, opened
from rmqwork._messages import options
from rmqwork._messages.options import LINKS, CallOptions
from rmqwork.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class LinkedOptions(CallOptions):
    """The options of a call that starts others by its end.

    Args:
        link: what is published with its value when it has succeeded.
        link_error: what is published with a `FailedTask` when it has failed for good.
    """

    link: tuple[WorkflowSpec, ...] = ()
    link_error: tuple[WorkflowSpec, ...] = ()


_FIELDS: Final = tuple(field.name for field in fields(CallOptions))


def parse(given: Mapping[str, Any], where: str, now: float) -> CallOptions:
    """Check the options of a call, links included: `rmqwork._messages.options.parse`.

    Returns:
        `LinkedOptions` if there are links.
    """
    return _with_links(options.parse(given, where, now))


def merge(base: CallOptions, given: Mapping[str, Any], where: str, now: float) -> CallOptions:
    """Put options on top of others, links included: `rmqwork._messages.options.merge`."""
    return _with_links(options.merge(base, given, where, now))


def _with_links(parsed: CallOptions) -> CallOptions:
    """The same as `LinkedOptions`, if there are links."""
    given = parsed.given
    if "link" not in given and "link_error" not in given:
        return parsed
    link, link_error = (links(given.get(name, ()), name) for name in LINKS)
    if not link and not link_error:
        return parsed
    unlinked = {name: getattr(parsed, name) for name in _FIELDS}
    return LinkedOptions(**unlinked, link=link, link_error=link_error)


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
