"""How an application tests its tasks: no broker, no worker, no waiting. In `examples/`: ``pytest``.

The same tests pass on a real RabbitMQ, in real time: ``pytest --rmqwork-rabbitmq``.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from thumbnails.app import MakePortrait, MakeThumbnail, app, make_portrait, make_thumbnail

from rmqwork._cli.demo import app as tasks
from rmqwork.testing import Kit

pytestmark = pytest.mark.rmqwork_app(app)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tasks put the thumbnails, for one test."""
    monkeypatch.setenv(tasks.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def picture(width: int = 300, height: int = 200) -> bytes:
    """The bytes of an image."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, "JPEG")
    return data.getvalue()


class Source:
    """Stands for the web: answers 503 some times, then with an image."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.asked = 0

    def __call__(self, url: str) -> bytes:
        self.asked += 1
        if self.asked <= self.busy:
            raise tasks.SourceBusy(f"{url}: 503")
        return picture()


# ── publishing: what goes where ───────────────────────────────────────────────────────────────


def test_portraits_go_first(rmqwork_app, published):
    make_portrait.delay(MakePortrait(name="me", image=picture(10, 10)))
    rmqwork_app.publish(MakeThumbnail(name="pic", source="http://source/pic.jpg"), countdown=60)

    assert published.one(make_portrait).queue == "high_priority"
    thumbnail = published.one(MakeThumbnail)
    assert thumbnail.queue == "low_priority"
    assert thumbnail.message.width == 128
    assert thumbnail.countdown == pytest.approx(60, abs=1)


# ── a task alone ──────────────────────────────────────────────────────────────────────────────


def test_a_thumbnail_keeps_its_proportions():
    assert tasks.shrink(picture(300, 200), (60, 60)).size == (60, 40)


def test_a_portrait_is_stored_where_it_is_published(eager, folder: Path):
    make_portrait.delay(MakePortrait(name="me", image=picture(), size=48))

    with Image.open(folder / "me.jpg") as stored:
        assert stored.size == (48, 32)


# ── what becomes of a message ─────────────────────────────────────────────────────────────────


def test_a_busy_source_is_asked_again(rmqwork_app, run_all, monkeypatch, folder: Path):
    source = Source(busy=2)
    monkeypatch.setattr(tasks, "fetch", source)
    make_thumbnail.delay(MakeThumbnail(name="pic", source="http://source/pic.jpg"))

    ran = run_all()

    assert [run.succeeded for run in ran.of(make_thumbnail)] == [False, False, True]
    assert ran.retried[0].error.endswith("503")
    assert (folder / "pic.jpg").exists()
    assert not ran.dead_letters


def test_a_source_that_stays_busy_ends_in_the_dead_letter_queue(rmqwork_app, run_all, monkeypatch):
    source = Source(busy=99)
    monkeypatch.setattr(tasks, "fetch", source)
    sent = make_thumbnail.delay(MakeThumbnail(name="pic", source="http://source/pic.jpg"))

    ran = run_all()

    assert source.asked == ran.count(make_thumbnail) == 5
    assert ran.seconds > 0.25 + 0.5 + 1 + 2  # the backoff
    [letter] = ran.dead_letters
    assert (letter.id, letter.reason, letter.attempt) == (sent.id, "failed", 5)
    assert letter.error_type.endswith("SourceBusy")
    assert letter.queue == "low_priority"


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"no image at all", "rejected"), (picture()[:200], "failed")],
    ids=["no image", "cut off"],
)
def test_what_cannot_become_better_is_not_tried_again(
    rmqwork_app, run_all, folder: Path, data: bytes, reason: str
):
    make_portrait.delay(MakePortrait(name="me", image=data))

    ran = run_all()

    assert ran.count(make_portrait) == 1
    assert [letter.reason for letter in ran.dead_letters] == [reason]
    assert not (folder / "me.jpg").exists()


# ── faults of the broker (in memory only) ─────────────────────────────────────────────────────


def test_a_portrait_that_is_made_twice_is_the_same(rmqwork_kit: Kit, folder: Path, request):
    """The broker took the message, and the connection ended before it could say so: the message is
    published again with the same id, and the task runs twice."""
    if request.config.getoption("rmqwork_rabbitmq"):
        pytest.skip("faults cannot be ordered from a real broker")
    rmqwork_kit.faults.next_publish("lost")
    make_portrait.delay(MakePortrait(name="me", image=picture()))

    ran = rmqwork_kit.run_all()

    assert ran.count(make_portrait) == 2
    assert len({run.task_id for run in ran.runs}) == 1
    assert [path.name for path in folder.glob("*.jpg")] == ["me.jpg"]
