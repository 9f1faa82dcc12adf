"""``rmqwork tasks``: an app's tasks for people and for producers in other languages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

APP = """
from typing import Literal

from pydantic import BaseModel, HttpUrl

from rmqwork import App, Context, Retry, TaskMessage

app = App("shop", queues=["high_priority", "low_priority"], default_queue="low_priority")

class Size(BaseModel):
    width: int

class Resize(TaskMessage, name="images.resize", queue="high_priority", version=3):
    url: HttpUrl
    sizes: list[Size]
    format: Literal["png", "jpeg"] = "png"
    note: str | None = None

@app.task(
    retry=Retry(max_attempts=5), time_limit=30, hard_time_limit=60, aliases=["images.shrink"]
)
def resize(message: Resize, ctx: Context) -> int:
    return 1

@app.task
async def add(x: int, y: int = 2) -> int:
    return x + y

@app.task(isolated=True)
def anything(what: object, json: object = 1) -> None:
    pass
"""


@pytest.fixture
def shop(project: Path) -> None:
    (project / "shop.py").write_text(APP)


def test_programs_get_all_of_it(shop: None, run: Run):
    code, out, err = run("tasks", "shop:app", "--json")

    assert (code, err) == (0, "")
    given = json.loads(out)
    assert given["app"] == "shop"
    tasks = {task["task"]: task for task in given["tasks"]}
    assert list(tasks) == ["images.resize", "shop.add", "shop.anything"]
    schema = tasks["images.resize"].pop("schema")
    assert tasks["images.resize"] == {
        "task": "images.resize",
        "queue": "high_priority",
        "version": 3,
        "aliases": ["images.shrink"],
        "runs_in": "thread",
        "max_attempts": 5,
        "time_limit": 30.0,
        "hard_time_limit": 60.0,
    }
    assert schema["required"] == ["url", "sizes"]
    assert schema["properties"]["url"]["format"] == "uri"
    assert tasks["shop.add"]["schema"]["required"] == ["x"]
    assert [tasks[name]["runs_in"] for name in ("shop.add", "shop.anything")] == [
        "async",
        "process",
    ]
    assert tasks["shop.anything"]["queue"] == "low_priority"


def test_people_get_a_line_each(shop: None, run: Run):
    code, out, err = run("tasks", "shop:app")

    assert (code, err) == (0, "")
    lines = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}
    assert lines["images.resize"] == (
        "images.resize (version 3, was images.shrink) high_priority "
        "url: uri, sizes: list of Size, format?: 'png' | 'jpeg', note?: string | null "
        "thread 5 30 s / 60 s"
    )
    assert lines["shop.add"] == "shop.add low_priority x: integer, y?: integer async 1 -"
    assert lines["shop.anything"].startswith(
        "shop.anything low_priority what: any, json?: any process"
    )


def test_routes_that_only_a_message_can_tell(project: Path, run: Run):
    (project / "shop.py").write_text(
        "from rmqwork import App\n"
        "app = App('shop', queues=['a', 'b'], default_queue='a',\n"
        "          routes=lambda name, message, options: 'b')\n"
        "@app.task\n"
        "def add(x: int) -> int: return x\n"
    )

    assert "(by each message)" in run("tasks", "shop:app")[1]
    assert json.loads(run("tasks", "shop:app", "--json")[1])["tasks"][0]["queue"] is None
