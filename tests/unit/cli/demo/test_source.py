"""The source that refuses, and what the app makes of it."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rmqwork import Reject
from rmqwork._cli.demo.app import SourceBusy, fetch
from rmqwork._cli.demo.source import FlakySource


@pytest.fixture
def source(tmp_path: Path) -> Iterator[FlakySource]:
    (tmp_path / "1.jpg").write_bytes(b"an image")
    with FlakySource(tmp_path) as source:
        yield source


def test_a_flaky_source_refuses_as_often_as_its_path_says(source: FlakySource) -> None:
    for _ in range(2):
        with pytest.raises(SourceBusy, match="503"):
            fetch(f"{source.url}/flaky/2/1.jpg")

    assert fetch(f"{source.url}/flaky/2/1.jpg") == b"an image"
    assert fetch(f"{source.url}/1.jpg") == b"an image"
    with pytest.raises(SourceBusy):
        fetch(f"{source.url}/gone/1.jpg")
    with pytest.raises(Reject, match="404"):
        fetch(f"{source.url}/2.jpg")


def test_a_source_gives_nothing_from_outside_its_folder(source: FlakySource) -> None:
    for path in ("/%2e%2e/secret", "/..", "/flaky/0/..", "/a/b/c"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{source.url}{path}")
