"""A map of a workflow: as Mermaid text, as a picture, and in a line of text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rmqwork._canvas.spec import Chain, Group, Step, WorkflowSpec
from rmqwork.errors import ConfigurationError

_LONGEST = 200


@dataclass(slots=True)
class _Map:
    """Boxes and arrows.

    Args:
        boxes: by id: the text, and whether it is a task (or a place where branches meet).
        arrows: from, to, and what is written on them.
    """

    boxes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    arrows: list[tuple[str, str, str]] = field(default_factory=list)

    def box(self, text: str, *, is_task: bool) -> str:
        """A new box; returns its id."""
        name = f"n{len(self.boxes)}"
        self.boxes[name] = (text, is_task)
        return name

    def add(self, work: WorkflowSpec, before: list[str], label: str = "") -> list[str]:
        """Draw a part behind these boxes; returns those that are last in it."""
        match work:
            case Step():
                last = [self.box(_label(work), is_task=True)]
                self._lead(before, last[0], label)
            case Chain(steps):
                last = before
                for step in steps:
                    last, label = self.add(step, last, label), ""
            case Group(members):
                ends = [end for member in members for end in self.add(member, before, label)]
                last = [self.box("join", is_task=False)] if ends else before
                self._lead(ends, last[0] if ends else "", "")
        for option in ("link", "link_error"):
            for linked in work.options.get(option, ()):
                self.add(linked, last, option)
        return last

    def _lead(self, before: list[str], to: str, label: str) -> None:
        self.arrows += [(one, to, label) for one in before]


def mermaid(work: WorkflowSpec) -> str:
    """The map as Mermaid text (https://mermaid.js.org)."""
    found = _map(work)
    lines = ["flowchart LR"]
    for name, (text, is_task) in found.boxes.items():
        shown = text.replace('"', "#quot;")
        lines.append(f'    {name}["{shown}"]' if is_task else f"    {name}(({shown}))")
    for one, other, label in found.arrows:
        lines.append(f"    {one} -. {label} .-> {other}" if label else f"    {one} --> {other}")
    return "\n".join(lines) + "\n"


def draw(work: WorkflowSpec, path: str) -> None:
    """Write the map as a picture; see `Composable.draw`."""
    kind = Path(path).suffix[1:].lower()
    try:
        import graphviz
    except ImportError as error:
        raise ConfigurationError(
            "a picture of a workflow needs graphviz: pip install 'rmqwork[graph]', and the "
            "program dot (Debian: apt install graphviz); graph() gives Mermaid text without it"
        ) from error
    if kind not in graphviz.FORMATS:
        raise ConfigurationError(f"{path}: no picture ends in .{kind}; take .svg, .png or .pdf")
    found = _map(work)
    dot = graphviz.Digraph(graph_attr={"rankdir": "LR"}, node_attr={"fontname": "Helvetica"})
    for name, (text, is_task) in found.boxes.items():
        dot.node(name, graphviz.escape(text), shape="box" if is_task else "circle")
    for one, other, label in found.arrows:
        dot.edge(one, other, label, style="dashed" if label else "solid")
    try:
        Path(path).write_bytes(dot.pipe(kind))
    except graphviz.ExecutableNotFound:
        raise ConfigurationError(
            f"{path} needs graphviz's program dot, which is not there (Debian: apt install "
            "graphviz); graph() gives Mermaid text without it"
        ) from None


def text_of(work: WorkflowSpec) -> str:
    """A workflow in a line of text."""
    text = "".join(_words(work))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def _map(work: WorkflowSpec) -> _Map:
    found = _Map()
    found.add(work, [])
    return found


def _words(work: WorkflowSpec) -> Iterator[str]:
    match work:
        case Step():
            yield _label(work)
        case Chain(parts) | Group(parts):
            between = " | " if isinstance(work, Chain) else ", "
            yield "" if isinstance(work, Chain) and parts else type(work).__name__.lower() + "("
            for at, part in enumerate(parts[:_LONGEST]):
                yield between if at else ""
                yield from _words(part)
            yield "" if isinstance(work, Chain) and parts else ")"


def _label(step: Step) -> str:
    if step.items is None:
        return step.task.name
    return f"{step.task.name} × {len(step.items)}"
