"""``rmqwork tasks``: what an app can do, and what its messages look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from rmqwork._cli.applications import app_argument, load
from rmqwork._cli.output import Column, as_json_option, console, print_json, table

if TYPE_CHECKING:
    from rmqwork._tasks.app import App


@click.command
@app_argument
@as_json_option
def tasks(app: str | None, as_json: bool) -> None:
    """List the app's tasks: their queues, limits, and what their messages hold.

    Asks no broker. With --json each task has the JSON schema of its bodies: all that a producer in
    another language needs.
    """
    found = load(app)
    listed = describe(found)
    if as_json:
        print_json({"app": found.name, "tasks": listed})
        return
    columns = [
        Column("task", whole=True),
        Column("queue", whole=True),
        Column("takes"),
        Column("runs in", whole=True),
        Column("attempts", "right", whole=True),
        Column("time limit", "right", whole=True),
    ]
    console().print(table(columns, [_cells(task) for task in listed], found.name))


def describe(app: App) -> list[dict[str, Any]]:
    """The tasks of an app by name, as JSON values; limits in seconds."""
    from rmqwork._config.manifest import Manifest

    described = []
    for name, entry in sorted(Manifest.from_dict(app.manifest()).tasks.items()):
        task = app.tasks[name]
        described.append(
            {
                "task": name,
                "queue": entry.queue,
                "version": entry.version,
                "aliases": list(entry.aliases),
                "runs_in": "process" if entry.isolated else entry.kind,
                "max_attempts": entry.max_attempts,
                "time_limit": entry.time_limit,
                "hard_time_limit": entry.hard_time_limit,
                "schema": task.body.schema(),
            }
        )
    return described


def _cells(task: Mapping[str, Any]) -> list[object]:
    limits = [task["time_limit"], task["hard_time_limit"]]
    notes = [f"version {task['version']}"] if task["version"] != 1 else []
    notes += [f"was {alias}" for alias in task["aliases"]]
    return [
        f"{task['task']} ({', '.join(notes)})" if notes else task["task"],
        task["queue"] or "(by each message)",
        takes(task["schema"]),
        task["runs_in"],
        task["max_attempts"] or "by its stop",
        " / ".join(f"{limit:g} s" for limit in limits if limit is not None) or "-",
    ]


def takes(schema: Mapping[str, Any]) -> str:
    """The fields of a body for people: ``url: uri, width: integer, note?: string``."""
    required = schema.get("required", ())
    return ", ".join(
        f"{name}{'' if name in required else '?'}: {_kind(field)}"
        for name, field in schema.get("properties", {}).items()
    )


def _kind(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return str(field["$ref"]).rpartition("/")[2]
    for several in ("anyOf", "oneOf"):
        if several in field:
            return " | ".join(_kind(one) for one in field[several])
    if "const" in field or "enum" in field:
        return " | ".join(repr(value) for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array" and "items" in field:
        return f"list of {_kind(field['items'])}"
    return str(field.get("format") or field.get("type") or "any")
