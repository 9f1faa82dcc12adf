"""The tasks of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from rmqwork import Context, Reject
from rmqwork._cli.demo.app import BrokenImage, MakePortrait, Studio, app, make_portrait, shrink
from rmqwork._cli.demo.images import encoded, portrait
from rmqwork._cli.demo.ledger import Ledger, LedgerWriter


def test_the_app_is_right() -> None:
    app.check()

    assert list(app.queues) == ["high_priority", "low_priority"]


def test_bytes_that_are_no_image_are_rejected_and_torn_ones_are_broken() -> None:
    data, _ = encoded(1)

    assert max(shrink(data, (64, 64)).size) == 64
    with pytest.raises(Reject, match="no image"):
        shrink(b"no image at all", (64, 64))
    with pytest.raises(BrokenImage):
        shrink(data[: len(data) // 2], (64, 64))


def test_a_portrait_is_stored_and_then_noted(tmp_path: Path) -> None:
    ledger, writer = Ledger(tmp_path / "ledger"), LedgerWriter(tmp_path / "ledger")
    context = Context("id", "thumbnails.portrait", Studio(tmp_path, writer), queue="q")

    made = make_portrait.function(MakePortrait(name="me", image=portrait(1)), context)
    writer.close()
    ledger.read()

    with Image.open(made.path) as image:
        assert image.size == (made.width, made.height) == (48, 48)
    assert (ledger.done, ledger.names) == ({"q": {"id"}}, {"me"})
    assert {path.name for path in tmp_path.iterdir()} == {"me.jpg", "ledger"}
