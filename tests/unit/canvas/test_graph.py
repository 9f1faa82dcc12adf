"""Maps of workflows."""

from __future__ import annotations

import os

import pytest

from rmqwork import ConfigurationError, FailedTask, TaskSet, group
from tests.requirements import require_module, require_program

tasks = TaskSet("shop")


@tasks.task
def add(x: int, y: int) -> int:
    return x + y


@tasks.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@tasks.task
def on_error(failed: FailedTask) -> None: ...


WHOLE = add.s(1, 2).link(add.s(9)) | group(add.s(1), add.s(2) | add.s(3)) | total.s()


def test_mermaid():
    assert WHOLE.link_error(on_error.s()).graph() == (
        "flowchart LR\n"
        '    n0["shop.add"]\n'
        '    n1["shop.add"]\n'
        '    n2["shop.add"]\n'
        '    n3["shop.add"]\n'
        '    n4["shop.add"]\n'
        "    n5((join))\n"
        '    n6["shop.total"]\n'
        '    n7["shop.on_error"]\n'
        "    n0 -. link .-> n1\n"
        "    n0 --> n2\n"
        "    n0 --> n3\n"
        "    n3 --> n4\n"
        "    n2 --> n5\n"
        "    n4 --> n5\n"
        "    n5 --> n6\n"
        "    n6 -. link_error .-> n7\n"
    )
    assert "shop.add × 2" in add.starmap([(1, 2), (3, 4)]).graph()


def test_a_picture_is_drawn_by_graphviz(tmp_path, monkeypatch):
    require_module("graphviz")
    # Given a dot that says what it was asked for
    dot = tmp_path / "bin" / "dot"
    dot.parent.mkdir()
    dot.write_text('#!/bin/sh\necho "$@"; cat\n')
    dot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{dot.parent}{os.pathsep}{os.environ['PATH']}")

    WHOLE.draw(str(tmp_path / "whole.svg"))

    said = (tmp_path / "whole.svg").read_text()
    assert "-Tsvg" in said
    assert said.count("shop.add") == 5
    assert said.count("->") == 7


def test_a_real_picture(tmp_path):
    require_module("graphviz")
    require_program("dot", "graphviz")
    for kind, begins in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        picture = tmp_path / f"whole.{kind}"
        WHOLE.draw(str(picture))
        assert picture.read_bytes().startswith(begins)
    said = (tmp_path / "whole.svg").read_text()
    assert said.count(">shop.add<") == 5
    assert said.count('class="edge"') == 7


def test_what_is_missing_for_a_picture_is_said(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match=r"no picture ends in \.doc"):
        WHOLE.draw(str(tmp_path / "whole.doc"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match="needs graphviz's program dot"):
        WHOLE.draw(str(tmp_path / "whole.png"))
    monkeypatch.setitem(__import__("sys").modules, "graphviz", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rmqwork\[graph\]'"):
        WHOLE.draw(str(tmp_path / "whole.png"))
