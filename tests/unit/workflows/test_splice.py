"""Cutting and joining JSON texts comes to what reading and writing them would."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._workflows.splice import (
    RawTail,
    array,
    before,
    dump,
    first,
    frames_of,
    items_of,
    packed_frames_of,
    with_argument,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), JSON, max_size=4)
DUMPS = st.sampled_from(
    [lambda value: dump(value), json.dumps, lambda value: json.dumps(value, ensure_ascii=False)]
)


@given(st.lists(JSON, min_size=1))
def test_the_first_frame_is_read_and_the_others_are_passed_on_as_they_are(items):
    value, rest = first(frames_of(items))
    assert (value, rest) == (items[0], frames_of(items[1:]))
    assert items_of(rest) == items[1:]


@given(st.lists(JSON), st.lists(JSON))
def test_frames_before_others_are_the_frames_of_both(some, others):
    assert before(frames_of(some), frames_of(others)) == frames_of([*some, *others])


@given(OBJECTS, st.text(min_size=1), JSON, DUMPS)
def test_an_argument_is_spliced_in_as_reading_and_writing_would(body, name, value, written):
    spliced = with_argument(body, name, written(value).encode())
    assert json.loads(spliced) == {**body, name: value}


def test_without_a_name_the_value_is_the_whole_body():
    assert with_argument({"x": 1}, "", b'{"y":2}') == b'{"y":2}'


@given(st.lists(JSON), DUMPS)
def test_an_array_of_values_that_are_json_already(values, written):
    assert json.loads(array([written(value).encode() for value in values])) == values


@given(OBJECTS.filter(lambda value: "then" not in value), JSON, DUMPS)
def test_an_object_is_cut_before_its_last_member_whoever_has_written_it(members, last, written):
    cut = RawTail(written({**members, "then": last}), "then")
    assert cut.members == members
    assert json.loads(cut.raw) == last


def test_what_is_last_is_not_read():
    assert RawTail('{"id":"a","then":[this is not JSON]}', "then").raw == "[this is not JSON]"


@pytest.mark.parametrize("text", ["", "[]", "{", "{}x", '{"id":1}x', "nonsense"])
def test_what_is_no_object_is_refused(text):
    with pytest.raises(ValueError):
        RawTail(text, "then")


def test_a_text_that_is_not_one_of_frames_is_refused():
    with pytest.raises(ValueError, match="comma"):
        first("1 2")


@pytest.mark.parametrize("count", [0, 1, 64, 65, 96, 97, 1000])
def test_many_frames_are_packed_and_come_out_one_by_one(count):
    nodes = [{"task": "shop.add", "id": f"0197{n:032x}", "body": {"y": "ä"}} for n in range(count)]
    frames, seen = packed_frames_of(nodes), []
    assert items_of(frames) == nodes
    if count == 1000:
        assert len(frames) < len(frames_of(nodes)) / 4
    while frames:
        node, frames = first(frames)
        seen.append(node)
    assert seen == nodes


@pytest.mark.parametrize("packed", ['"AAAA"', '"?"', "7", "null"])
def test_what_cannot_be_opened_is_refused(packed):
    with pytest.raises((ValueError, TypeError)):
        first(f'{{"packed":{packed}}}')
