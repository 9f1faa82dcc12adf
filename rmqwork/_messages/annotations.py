"""The annotations of parameters, resolved one by one, so that an error can name the parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, get_type_hints


def resolve_hint(
    function: Callable[..., Any],
    parameter: inspect.Parameter,
    localns: Mapping[str, Any] | None,
    missing: object = inspect.Parameter.empty,
) -> Any:
    """What a parameter's annotation means, with its ``Annotated`` extras.

    Args:
        function: whose parameter it is; its module's names count.
        parameter: annotated by an object or by its text.
        localns: names of the function around it, if there is one.
        missing: returned when it has none, or when it cannot be resolved; the default raises in
            the second case.

    Raises:
        Exception: whatever evaluating the annotation raised, a `NameError` most often.
    """
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        return missing

    def holder() -> None: ...

    holder.__annotations__ = {parameter.name: annotation}
    try:
        return get_type_hints(
            holder, _names_of(function), dict(localns or {}), include_extras=True
        )[parameter.name]
    except Exception:
        if missing is inspect.Parameter.empty:
            raise
        return missing


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of the module that a callable was written in."""
    inner: Any = inspect.unwrap(function)
    while isinstance(inner, partial):
        inner = inner.func
    if isinstance(inner, type):
        inner = inner.__init__  # type: ignore[misc]
    elif not hasattr(inner, "__globals__"):
        inner = type(inner).__call__
    names: dict[str, Any] = getattr(inner, "__globals__", {})
    return names
