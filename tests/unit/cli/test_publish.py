"""``rmqwork publish``: what stands where, and what is published."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rmqwork._cli.publish import _expiry, _positional, instant, seconds
from rmqwork.errors import ConfigurationError, Nacked, PublishError
from rmqwork.types import Publication

if TYPE_CHECKING:
    from tests.unit.cli.conftest import Run

APP = """
from rmqwork import App, TaskMessage

app = App("shop", queues=["high_priority", "low_priority"])

class Resize(TaskMessage, name="images.resize", queue="high_priority"):
    width: int

@app.task
def resize(message: Resize) -> int:
    return message.width
"""


class Port:
    """A broker that confirms all but the bodies it is told to refuse."""

    def __init__(self) -> None:
        self.published: list[Publication] = []
        self.refused: set[bytes] = set()

    def submit(
        self, publications: Sequence[Publication], timeout: float
    ) -> Future[list[PublishError | None]]:
        future: Future[list[PublishError | None]] = Future()
        refusals = [Nacked("full") if p.body in self.refused else None for p in publications]
        self.published += [p for p, no in zip(publications, refusals, strict=True) if no is None]
        future.set_result(list(refusals))
        return future

    def close(self, timeout: float) -> int:
        return 0


@pytest.fixture
def port(project: Path, monkeypatch: pytest.MonkeyPatch) -> Port:
    from rmqwork._tasks.app import App

    (project / "shop.py").write_text(APP)
    monkeypatch.setenv("RMQWORK_APP", "shop:app")
    fake = Port()
    monkeypatch.setattr(App, "_make_publisher", lambda self: fake)
    return fake


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["task"], (None, "task", None)),
        (["shop:app", "task"], ("shop:app", "task", None)),
        (["task", "{}"], (None, "task", "{}")),
        (["task", " {}"], (None, "task", " {}")),
        (["task", "@file"], (None, "task", "@file")),
        (["task", "-"], (None, "task", "-")),
        (["shop:app", "task", "-"], ("shop:app", "task", "-")),
    ],
)
def test_app_task_and_fields(arguments: list[str], meant: tuple[str | None, ...]) -> None:
    assert _positional(arguments) == meant


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("1.5s", 1.5), ("5m", 300), ("2h", 7200), ("1d", 86400)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text, "--countdown") == value


@pytest.mark.parametrize("text", ["", "-1", "5 minutes", "1w", "2030-01-01T00:00Z"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--countdown"):
        seconds(text, "--countdown")


def test_moments_need_a_time_zone() -> None:
    assert instant("2030-01-31T08:00:00Z", "--eta") == datetime(2030, 1, 31, 8, tzinfo=UTC)
    with pytest.raises(ConfigurationError, match="time zone"):
        instant("2030-01-31T08:00:00", "--eta")
    with pytest.raises(ConfigurationError, match="is no moment"):
        instant("tomorrow", "--eta")


def test_expires_takes_both() -> None:
    assert _expiry("10m") == timedelta(minutes=10)
    assert _expiry("2030-01-31T08:00:00Z") == datetime(2030, 1, 31, 8, tzinfo=UTC)


def test_prints_the_id_of_what_was_published(run: Run, port: Port) -> None:
    code, out, err = run("publish", "images.resize", '{"width": 3}', "--header", "tenant=a=b")
    assert (code, err) == (0, "")
    (published,) = port.published
    assert out == f"{published.message_id}\n"
    assert published.body == b'{"width":3}'
    assert published.headers["tenant"] == "a=b"
    assert published.routing_key == "high_priority"


def test_options_reach_the_message(run: Run, port: Port) -> None:
    code, out, _ = run(
        "publish", "shop:app", "images.resize", '{"width": 3}', "--queue", "low_priority",
        "--countdown", "5m", "--priority", "3", "--task-id", "mine", "--json",
    )  # fmt: skip
    (published,) = port.published
    assert code == 0
    assert json.loads(out) == {"id": "mine", "task": "images.resize"}
    assert (published.routing_key, published.priority) == ("low_priority", 3)
    assert published.due is not None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('{"width": "wide"}', "width: Input should be a valid integer"),
        ("[1]", "is a JSON list"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("@missing.json", "No such file"),
    ],
)
def test_wrong_fields_are_not_published(run: Run, port: Port, fields: str, said: str) -> None:
    code, out, err = run("publish", "images.resize", fields)
    assert (code, out) == (1, "")
    assert said in err
    assert err.count("\n") == 1
    assert port.published == []


def test_an_unknown_task_is_published_with_a_note(run: Run, port: Port) -> None:
    code, _, err = run("publish", "images.crop", '{"anything": 1}')
    assert code == 0
    assert "does not know task 'images.crop'" in err
    assert port.published[0].body == b'{"anything":1}'


def test_a_file_and_count(run: Run, port: Port, project: Path) -> None:
    (project / "one.json").write_text('{\n "width": 7\n}\n')
    code, out, _ = run("publish", "images.resize", "@one.json", "--count", "3")
    assert code == 0
    assert len(set(out.split())) == 3
    assert {p.body for p in port.published} == {b'{"width":7}'}


def test_lines_stop_at_the_first_that_is_wrong(
    run: Run, port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"width":1}\n\n{"width":2}\n{}\n{"width":4}\n'))
    code, out, err = run("publish", "images.resize", "--lines")
    assert code == 1
    assert len(out.split()) == 2
    assert "stdin, line 4: " in err
    assert "2 published" in err
    assert [p.body for p in port.published] == [b'{"width":1}', b'{"width":2}']


def test_a_refused_one_is_an_error_and_the_others_are_printed(
    run: Run, port: Port, project: Path
) -> None:
    (project / "many.jsonl").write_text("".join(f'{{"width":{n}}}\n' for n in range(5)))
    port.refused = {b'{"width":3}'}
    code, out, err = run("publish", "images.resize", "@many.jsonl", "--lines")
    assert code == 1
    assert len(out.split()) == 4
    assert "full" in err


def test_one_id_is_for_one_message(run: Run, port: Port) -> None:
    code, _, err = run("publish", "images.resize", "--task-id", "a", "--count", "2")
    assert code == 2
    assert "--task-id is for one message" in err
