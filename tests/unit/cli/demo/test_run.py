"""The demo as a whole, with workers of somebody else, and without a broker."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from rmqwork._cli.demo.app import ledger_path
from rmqwork._cli.demo.images import portrait
from rmqwork._cli.demo.ledger import LedgerWriter, Line
from rmqwork._cli.demo.report import Screen, report
from rmqwork._cli.demo.run import draw, play
from rmqwork._cli.demo.setup import Setup
from rmqwork._cli.demo.steps import QUEUES
from rmqwork._cli.entry import main
from rmqwork._cli.exit_codes import NO_BROKER
from rmqwork._transport.connecting import connect
from rmqwork.testing import _private

ONE_IMAGE = portrait(1)


async def work_off(setup: Setup, count: int) -> None:
    """Take all messages, as a worker that always succeeds."""
    writer = LedgerWriter(ledger_path(setup.thumbnails))
    link = await connect([setup.url]).open("others")
    channel = await link.open_consuming(lambda _: None)
    left = count
    while left:
        for queue in QUEUES:
            depth = await link.depth(queue)
            if depth is None or not depth.messages:
                await asyncio.sleep(0.01)
                continue
            delivery = await channel.get(queue)
            assert delivery is not None
            assert delivery.message_id is not None
            name = f"thumbnail-{left}"
            (setup.thumbnails / f"{name}.jpg").write_bytes(ONE_IMAGE)
            writer.write(Line("done", delivery.message_id, queue, 1, name))
            channel.ack(delivery)
            left -= 1
    await channel.synced()
    await link.close()
    writer.close()


async def test_a_load_that_others_work_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup, here = Setup.make("memory://demo-run", tmp_path, "http://source"), Screen()
    load = draw(setup, here, 20)

    async with asyncio.timeout(60):
        played, _ = await asyncio.gather(
            play(setup, here, load, own_workers=False), work_off(setup, 20)
        )

    assert report(here, played)
    printed = capsys.readouterr().out
    assert "drew 20 images" in printed
    assert "each confirmed by the broker" in printed
    assert "published = executed + dead-lettered: 20 = 20 + 0, lost = 0" in printed


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
