"""The demo's account: it must see a loss, a second run and a torn thumbnail if there is one."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("PIL")

from PIL import Image

from rmqwork import App, Context, Reject
from rmqwork._cli.demo.app import (
    BrokenImage,
    MakePortrait,
    MakeThumbnail,
    SourceBusy,
    Studio,
    app,
    fetch,
    make_portrait,
    shrink,
)
from rmqwork._cli.demo.images import encoded, portrait
from rmqwork._cli.demo.ledger import Ledger, LedgerReader, LedgerWriter, Tally, balance
from rmqwork._cli.demo.load import prepare
from rmqwork._cli.demo.options import EXIT_CANNOT, DemoOptions, run
from rmqwork._cli.demo.report import report
from rmqwork._cli.demo.screen import PlainScreen
from rmqwork._cli.demo.source import FlakySource
from rmqwork._cli.demo.stage import Played
from rmqwork._cli.demo.watch import View
from rmqwork._cli.entry import main
from rmqwork._cli.exit_codes import NO_BROKER
from rmqwork.testing import _private


def tally_of(*lines: tuple[str, str], folder: Path) -> Tally:
    """What the ledger comes to after some lines of (kind, task id)."""
    path = folder / "ledger"
    reader = LedgerReader(path)
    writer = LedgerWriter(path)
    for kind, task_id in lines:
        writer.write(kind, task_id, "q", 1, task_id)  # type: ignore[arg-type]
    writer.close()
    tally = Tally(["q"])
    tally.add(reader.read())
    return tally


def test_a_ledger_that_balances(tmp_path: Path) -> None:
    tally = tally_of(("retry", "a"), ("done", "a"), ("done", "b"), folder=tmp_path)

    ledger = balance(["a", "b", "c"], tally, ["c"])

    assert ledger == Ledger(3, 2, 1, frozenset(), run_twice=0, both=0, foreign=0)
    assert ledger.balances
    assert tally.queues["q"].retries == 1


def test_a_message_in_no_visible_place_is_lost(tmp_path: Path) -> None:
    ledger = balance(["a", "b"], tally_of(("retry", "b"), ("done", "a"), folder=tmp_path), [])

    assert ledger.lost == {"b"}
    assert not ledger.balances


def test_a_second_run_and_a_dead_letter_of_an_executed_task_are_counted(tmp_path: Path) -> None:
    tally = tally_of(("done", "a"), ("done", "a"), ("done", "x"), folder=tmp_path)

    ledger = balance(["a"], tally, ["a"])

    assert (ledger.run_twice, ledger.both, ledger.foreign) == (1, 1, 1)
    assert ledger.balances, "at least once: nothing is lost"


def test_a_reader_sees_whole_new_lines_only(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text("done\told\tq\t1\t-\n")
    reader = LedgerReader(path)

    with path.open("a") as file:
        file.write("done\tnew\tq\t1\t-\ndone\thal")
    first = [line.task_id for line in reader.read()]
    with path.open("a") as file:
        file.write("f\tq\t1\t-\n")

    assert first == ["new"]
    assert [line.task_id for line in reader.read()] == ["half"]


@pytest.mark.parametrize(
    ("lost", "whole", "good"), [((), 1, True), (("b",), 1, False), ((), 0, False)]
)
def test_the_report_is_red_when_something_is_missing(
    lost: Sequence[str], whole: int, good: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger(1 + len(lost), 1, 0, frozenset(lost), 0, 0, 0)

    assert report(PlainScreen(), Played(ledger, [], 0, [], whole, 1.0)) is good
    assert ("THE LEDGER DOES NOT BALANCE" in capsys.readouterr().out) is not good


def test_what_is_neither_settled_nor_waiting_runs_or_is_delayed() -> None:
    view = View("q", published=10, done=3, dead=1, retries=5, waiting=2)

    assert (view.settled, view.elsewhere) == (4, 4)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[FlakySource]:
    (tmp_path / "1.jpg").write_bytes(portrait(1))
    with FlakySource(tmp_path) as source:
        yield source


def test_a_flaky_source_refuses_as_often_as_its_path_says(source: FlakySource) -> None:
    for _ in range(2):
        with pytest.raises(SourceBusy, match="503"):
            fetch(f"{source.url}/flaky/2/1.jpg")

    assert fetch(f"{source.url}/flaky/2/1.jpg") == portrait(1)
    with pytest.raises(SourceBusy):
        fetch(f"{source.url}/gone/1.jpg")
    with pytest.raises(Reject, match="404"):
        fetch(f"{source.url}/2.jpg")


def test_a_source_gives_nothing_from_outside_its_folder(source: FlakySource) -> None:
    for path in ("/%2e%2e/secret", "/..", "/flaky/0/..", "/a/b/c"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{source.url}{path}")


def test_bytes_that_are_no_image_are_rejected_and_torn_ones_are_broken() -> None:
    data, _ = encoded(1)

    assert max(shrink(data, (64, 64)).size) == 64
    with pytest.raises(Reject, match="no image"):
        shrink(b"no image at all", (64, 64))
    with pytest.raises(BrokenImage):
        shrink(data[: len(data) // 2], (64, 64))


def test_a_portrait_is_stored_and_then_noted(tmp_path: Path) -> None:
    reader = LedgerReader(tmp_path / "ledger")
    writer = LedgerWriter(tmp_path / "ledger")
    context = Context("id", "thumbnails.portrait", Studio(tmp_path, writer), queue="q")

    made = make_portrait.function(MakePortrait(name="me", image=portrait(1)), context)
    writer.close()

    with Image.open(made.path) as image:
        assert image.size == (made.width, made.height) == (48, 48)
    assert [(line.kind, line.name) for line in reader.read()] == [("done", "me")]
    assert {path.name for path in tmp_path.iterdir()} == {"me.jpg", "ledger"}


def test_a_load_has_something_of_everything(tmp_path: Path) -> None:
    count = 0

    def drawn() -> None:
        nonlocal count
        count += 1

    load = prepare(40, tmp_path, "http://source", drawn)

    assert len(load.messages) == count == 40
    assert load.dead >= 3
    assert load.retries >= 5, "one flaky source, and one that is gone with its four retries"
    assert {type(message) for message in load.messages} == {MakePortrait, MakeThumbnail}
    assert len({message.name for message in load.messages}) == 40
    assert load.bytes > 40 * 1000


def test_without_pillow_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    assert run(DemoOptions()) == EXIT_CANNOT
    assert "pip install 'rmqwork[demo]'" in capsys.readouterr().err


def test_without_a_broker_it_names_each_way_that_failed_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Given root's machine with apt, without Docker and RabbitMQ
    apt = tmp_path / "apt-get"
    apt.write_text(f"#!/bin/sh\n>{tmp_path}/installed\n")
    apt.chmod(0o755)
    monkeypatch.setattr(_private, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    for name in ("RMQWORK_BROKER", "RMQWORK_TEST_BROKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    # When the demo is played
    code = main(["demo"])

    # Then it ends as every verb does without a broker, and has installed none
    assert code == NO_BROKER
    (line,) = [s for s in capsys.readouterr().err.splitlines() if s.startswith("rmqwork: error: ")]
    for reason in (
        "given: RMQWORK_BROKER is not set",
        "docker: no Docker daemon answers",
        "private: no rabbitmq-server is installed",
    ):
        assert reason in line
    assert not (tmp_path / "installed").exists()


def test_the_app_is_right() -> None:
    assert isinstance(app, App)
    app.check()
