"""What the demo publishes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rmqwork._cli.demo.app import MakePortrait, MakeThumbnail
from rmqwork._cli.demo.load import Load, prepare


def test_a_load_has_something_of_everything(tmp_path: Path) -> None:
    load = Load.of(prepare(40, tmp_path, "http://source"))

    assert len(load.messages) == 40
    assert load.dead >= 3
    assert load.retries >= 5, "one flaky source, and one that is gone with its four retries"
    assert Counter(map(type, load.messages)).keys() == {MakePortrait, MakeThumbnail}
    assert len({message.name for message in load.messages}) == 40
    assert load.bytes > 40 * 1000
