"""Whether what a step gives can be what the next one takes: by the JSON schemas of both.

Lenient: only what can never fit is refused. An annotation that says nothing fits everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

Schema = Mapping[str, Any]
ANY: Final[Schema] = {}
EACH: Final = "rmqwork-each"
"""In a schema of our own: the schemas of the members of a group."""
_OWN_CODE: Final = ("function-before", "function-wrap", "function-plain")
_SHALLOW: Final = "rmqwork-shallow"
_DEPTH: Final = 8
_MOMENTS: Final = frozenset({"date-time", "date", "time", "duration"})
_ALSO: Final = {
    "boolean": {"integer", "number"},
    "integer": {"number"},
    "number": {"integer"},  # 3.0 is one
}
"""What else pydantic takes a JSON value for."""


def given_schema(annotation: Any) -> Schema:
    """The schema of the values of a return annotation; `ANY` if it says nothing."""
    try:
        return TypeAdapter(annotation).json_schema(mode="serialization")
    except Exception:
        return ANY


def taken_schema(annotation: Any) -> Schema:
    """The schema of what an argument takes; `ANY` if it says nothing, or if code decides it."""
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        core = _innermost(adapter.core_schema)
        if core["type"] in _OWN_CODE:
            return ANY
        schema = adapter.json_schema(mode="validation")
        text = repr(core)
    except Exception:
        return ANY
    return {**schema, _SHALLOW: True} if any(kind in text for kind in _OWN_CODE) else schema


def _innermost(core: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema inside those that only wrap one."""
    while core["type"] in ("definitions", "nullable", "default"):
        core = core["schema"]
    return core


def incompatibility(given: Schema, taken: Schema) -> str | None:
    """Why values of one schema are never values of another; None: they may be."""
    shallow = bool(taken.get(_SHALLOW))
    return _Comparison(given.get("$defs", {}), taken.get("$defs", {}), shallow).of(given, taken, 0)


class _Comparison:
    def __init__(self, given: Schema, taken: Schema, shallow: bool) -> None:
        self._given = given
        self._taken = taken
        self._shallow = shallow

    def of(self, given: Schema, taken: Schema, depth: int) -> str | None:
        """See `incompatibility`; no deeper than schemas that contain themselves allow."""
        if depth > _DEPTH:
            return None
        gives, takes = _kinds(given, self._given), _kinds(taken, self._taken)
        if gives is None or takes is None:
            return None
        pairs = [(one, other) for one in gives for other in takes if _meets(one, other)]
        if not pairs:
            return f"{_names(gives)}, where it takes {_names(takes)}"
        if self._shallow and depth:
            return None
        why = None
        for one, other in pairs:
            why = self._inside(one, other, depth)
            if why is None:
                return None
        return why

    def _inside(self, given: Schema, taken: Schema, depth: int) -> str | None:
        if given.get("type") == taken.get("type") == "object":
            return self._objects(given, taken, depth)
        if given.get("type") == taken.get("type") == "array":
            return self._arrays(given, taken, depth)
        return None

    def _objects(self, given: Schema, taken: Schema, depth: int) -> str | None:
        fields, wanted = given.get("properties"), taken.get("properties")
        if fields is None or wanted is None:
            return None
        if not given.get("additionalProperties"):
            missing = [name for name in taken.get("required", ()) if name not in fields]
            if missing:
                return f"an object without {', '.join(missing)}"
        if taken.get("additionalProperties") is False:
            more = [name for name in given.get("required", ()) if name not in wanted]
            if more:
                return f"an object with {', '.join(more)}, which it does not know"
        for name in fields.keys() & wanted.keys():
            why = self.of(fields[name], wanted[name], depth + 1)
            if why is not None and name in given.get("required", ()):
                return f"{name}: {why}"
        return None

    def _arrays(self, given: Schema, taken: Schema, depth: int) -> str | None:
        each, places = given.get(EACH), taken.get("prefixItems")
        if each is not None and places is not None and "items" not in taken:
            if len(each) != len(places):
                return f"{len(each)} values, where it takes {len(places)}"
            found = zip(each, places, strict=True)
        else:
            items = taken.get("items")
            if not isinstance(items, Mapping) or places is not None:
                return None
            own = given.get("items")
            several = each if each is not None else [own] if isinstance(own, Mapping) else []
            found = zip(several, [items] * len(several), strict=True)
        for one, other in found:
            defs = one.get("$defs", self._given)
            why = _Comparison(defs, self._taken, self._shallow).of(one, other, depth + 1)
            if why is not None:
                return f"each of them: {why}"
        return None


def _kinds(schema: Schema, defs: Schema) -> list[Schema] | None:
    """The alternatives of a schema, each of one JSON type; None: nobody knows."""
    found: list[Schema] = []
    waiting = [schema]
    for _ in range(200):
        if not waiting:
            return found
        one = waiting.pop()
        if "$ref" in one:
            waiting.append(defs.get(one["$ref"].rpartition("/")[2], ANY))
        elif "anyOf" in one or "oneOf" in one:
            waiting += one.get("anyOf") or one["oneOf"]
        elif isinstance(one.get("type"), str):
            found.append(one)
        elif "const" in one or "enum" in one:
            values = [one["const"]] if "const" in one else one["enum"]
            found += [{"type": _type_of(value)} for value in values]
        else:
            return None
    return None


def _type_of(value: object) -> str:
    if isinstance(value, str):
        return "string"
    return "boolean" if isinstance(value, bool) else "null" if value is None else "number"


def _meets(given: Schema, taken: Schema) -> bool:
    one, other = given["type"], taken["type"]
    if one == other or other in _ALSO.get(one, ()):
        return True
    if one in ("integer", "number") and taken.get("format") in _MOMENTS:
        return True  # a timestamp
    return one == "string" and other in ("integer", "number") and "pattern" in given  # a Decimal


def _names(schemas: list[Schema]) -> str:
    return " or ".join(dict.fromkeys(schema["type"] for schema in schemas))
