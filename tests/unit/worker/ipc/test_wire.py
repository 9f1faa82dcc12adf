"""The framing and the values between a worker's processes."""

from __future__ import annotations

import datetime
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.ipc.wire import (
    Unpacker,
    pack,
    publication_of,
    publication_tuple,
    published_message,
    published_of,
)
from rmqwork.errors import (
    ConfigurationError,
    Nacked,
    PublishError,
    TopologyMismatch,
    Unroutable,
)
from rmqwork.types import Publication

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
messages = st.lists(st.lists(plain, min_size=1, max_size=4).map(tuple), max_size=5)


@given(frames=st.lists(messages, max_size=5), data=st.data())
def test_messages_come_out_as_they_went_in_whatever_the_pieces(frames, data):
    stream = b"".join(pack(frame) for frame in frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    unpacker, out = Unpacker(), []

    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        out += unpacker.feed(stream[begin:end])

    assert out == [message for frame in frames for message in frame]


def test_a_piece_may_be_overwritten_after_it_was_fed():
    unpacker, buffer = Unpacker(), bytearray(pack([("a", b"body")]))
    half = len(buffer) // 2
    first, second = buffer[:half], buffer[half:]

    assert unpacker.feed(memoryview(first)) == []
    first[:] = bytes(len(first))

    assert unpacker.feed(memoryview(second)) == [("a", b"body")]


def test_what_marshal_does_not_know_travels_as_text():
    class Colour(StrEnum):
        RED = "red"

    class Name(str):
        __slots__ = ()

    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)

    (message,) = Unpacker().feed(pack([("d", {Colour.RED: when, "n": Name("x")}, [1, 2.5, True])]))

    assert message == ("d", {"red": str(when), "n": "x"}, [1, 2.5, True])
    assert {type(value) for value in message[1].values()} == {str}


def test_a_publication_comes_back_as_it_was():
    publication = Publication(
        "x", "k", b"{}", "id", "shop.add", {"rmqwork-attempt": 2}, due=1.5, priority=3
    )

    assert publication_of(publication_tuple(publication)) == publication


def test_the_errors_of_a_publish_keep_their_kind_text_and_doubt():
    answer = [None, Unroutable("no queue"), PublishError("lost", may_have_arrived=True)]

    (message,) = Unpacker().feed(pack([published_message(7, answer)]))
    kind, request, values = message
    results = published_of(values, ["a", "b", "c"])

    assert (kind, request) == ("published", 7)
    assert results[0] is None
    assert isinstance(results[1], Unroutable)
    assert (str(results[1]), results[1].task_id, results[1].may_have_arrived) == (
        "no queue",
        "b",
        False,
    )
    assert type(results[2]) is PublishError
    assert results[2].may_have_arrived


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TopologyMismatch("queue 'q' differs"), TopologyMismatch),
        (Nacked("full"), Nacked),
        (RuntimeError("broken"), PublishError),
    ],
)
def test_one_error_for_all_publications_is_raised(error, kind):
    _, _, values = published_message(1, error)

    with pytest.raises(kind, match=str(error)):
        published_of(values, ["a"])


def test_a_configuration_error_among_the_answers_is_raised():
    _, _, values = published_message(1, [None, ConfigurationError("no exchange 'x'")])  # type: ignore[list-item]

    with pytest.raises(ConfigurationError, match="no exchange"):
        published_of(values, ["a", "b"])
