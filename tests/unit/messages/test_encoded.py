"""A message as JSON, with what decides its route."""

from __future__ import annotations

import pytest

from rmqwork import InvalidMessage, TaskMessage
from rmqwork._messages.encoded import EncodedMessage, encode_message


class Resize(TaskMessage, name="images.resize", queue="high", version=2, partition_key="image"):
    image: str
    width: int


def test_its_class_says_where_it_goes() -> None:
    message = Resize(image="a", width=3)

    assert encode_message(message) == EncodedMessage(
        "images.resize", b'{"image":"a","width":3}', 2, "high", message, "image"
    )


@pytest.mark.parametrize("other", [{"width": 3}, 3, None, Resize])
def test_nothing_else_is_a_message(other: object) -> None:
    with pytest.raises(InvalidMessage, match="only a TaskMessage can be published, not "):
        encode_message(other)  # type: ignore[arg-type]
