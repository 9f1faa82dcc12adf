"""What executors say, and what none of ours says."""

from __future__ import annotations

import datetime
import marshal
from struct import pack as pack_number

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._worker.ipc.reports import (
    ReportUnpacker,
    ReportViolation,
    pack_reports,
    publication_values,
)
from rmqwork._worker.ipc.wire import outcome_message, outcome_of, publication_of
from rmqwork.types import (
    Evidence,
    Failure,
    Outcome,
    Publication,
    Reason,
    Replaced,
    RetryOutcome,
    Success,
)

evidence = st.builds(Evidence, st.text(), st.text(), st.text())
seconds = st.floats(0, 1e9)
outcomes: st.SearchStrategy[Outcome] = st.one_of(
    st.builds(Success, seconds, st.none() | st.binary()),
    st.builds(RetryOutcome, seconds, seconds, st.booleans(), evidence),
    st.builds(Replaced, seconds, st.binary()),
    st.builds(Failure, seconds, st.sampled_from(Reason), evidence),
)


@given(number=st.integers(1, 2**63), outcome=outcomes)
def test_an_outcome_comes_back_as_it_was(number, outcome):
    (report,) = ReportUnpacker().feed(pack_reports([outcome_message(number, outcome)]))

    assert outcome_of(report) == (number, outcome)


REPORTS = [
    ("ready", 7),
    ("pong", 7),
    ("cancelled", 7),
    ("back", [1, 2]),
    ("warning", "a text"),
    ("import-error", "a text"),
    ("lifespan-error", "a text"),
    ("stack", 7, "a text"),
    ("progress", 7, 1.0, None),
    ("progress", 7, 1.0, 2.0),
    (
        "publish",
        7,
        [list(publication_values(Publication("x", "k", b"{}", "id", headers={"a": [1]})))],
        2.0,
    ),
]


@given(cuts=st.lists(st.integers(0, 2000), max_size=10).map(sorted))
def test_reports_come_out_as_they_went_in_whatever_the_pieces(cuts):
    stream = b"".join(pack_reports([report]) for report in REPORTS)
    cuts = [min(cut, len(stream)) for cut in cuts]
    unpacker, found = ReportUnpacker(), []

    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += unpacker.feed(stream[begin:end])

    assert found == REPORTS


def frame(body: bytes) -> bytes:
    return pack_number("!I", len(body)) + body


def looped() -> bytes:
    """The `marshal` data of a dict whose key is a tuple that holds itself: hashing it has no end.

    Its decoder takes that; the process that reads it dies by SIGSEGV.
    """
    tuple_with_itself = b"\xa9\x01r\x00\x00\x00\x00"
    return b"[\x01\x00\x00\x00{" + tuple_with_itself + b"N0"


VIOLATIONS = {
    "nothing that can be read": frame(b"\xc1"),
    "two values": frame(b"\x90\x90"),
    "an array of 4 billion items": frame(b"\xdd\xff\xff\xff\xff"),
    "a nest": frame(b"\x91" * 10_000 + b"\x01"),
    "a frame of 4 GB": b"\xff\xff\xff\xff",
    "marshal": frame(marshal.dumps([("pong", 1)])),
    "marshal that crashes": frame(looped()),
}


@pytest.mark.parametrize("data", VIOLATIONS.values(), ids=VIOLATIONS)
def test_what_no_executor_of_ours_says_is_a_violation(data):
    with pytest.raises(ReportViolation):
        ReportUnpacker().feed(data)


@given(st.binary(max_size=200))
def test_whatever_comes_is_reports_or_a_violation(body):
    try:
        found = ReportUnpacker().feed(frame(body))
    except ReportViolation:
        return
    assert all(report[0] in {one[0] for one in REPORTS} | {"o"} for report in found)


def test_what_came_before_a_violation_is_told():
    data = pack_reports([("pong", 1)]) + pack_reports([("pong", 2), ("pong", "3"), ("pong", 4)])

    with pytest.raises(ReportViolation) as caught:
        ReportUnpacker().feed(data)

    assert caught.value.before == [("pong", 1), ("pong", 2)]


def test_what_amqp_does_not_know_in_headers_travels_as_text():
    class Name(str):
        __slots__ = ()

    when = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    headers = {"when": when, "names": (Name("x"), {1}), Name("deep"): {"raw": bytearray(b"b")}}
    values = publication_values(Publication("x", "k", b"{}", "id", headers=headers))

    (report,) = ReportUnpacker().feed(pack_reports([("publish", 1, [values], 1.0)]))

    sent = publication_of(report[2][0]).headers
    assert sent == {"when": str(when), "names": ["x", [1]], "deep": {"raw": b"b"}}


def nest(depth: int) -> object:
    """Lists in a list."""
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "headers",
    [{"a": {1: 2}}, {"a": nest(1000)}, {"a": 1 << 63}],
    ids=["a name that is no text", "a nest", "a number of more than 64 bits"],
)
def test_headers_that_cannot_travel_are_refused_where_they_are_published(headers):
    with pytest.raises(ValueError, match=r"headers|header|property"):
        publication_values(Publication("x", "k", b"{}", "id", headers=headers))
