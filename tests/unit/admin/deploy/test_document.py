from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rmqwork._admin.deploy.document import to_yaml

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    [
        "yes",
        "No",
        "null",
        "1e3",
        "0x1f",
        "2026-01-01",
        "a: b",
        "- a",
        "#c",
        "a #c",
        "1:30",
        "line\n",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(texts, values, min_size=1, max_size=4))
def test_others_read_what_was_written(value):
    assert yaml.safe_load(to_yaml([value])) == value


def test_texts_of_several_lines_stay_readable():
    written = to_yaml([{"config": "a = 1\nb = 2\n"}])

    assert written == "config: |\n  a = 1\n  b = 2\n"


def test_several_objects_and_a_comment():
    written = to_yaml([{"a": [{"b": 1, "c": []}]}, {"d": {}}], "made\nby hand")

    assert written == "# made\n# by hand\na:\n  - b: 1\n    c: []\n---\nd: {}\n"
    assert list(yaml.safe_load_all(written)) == [{"a": [{"b": 1, "c": []}]}, {"d": {}}]


@pytest.mark.parametrize("text", ["y", "on", "~", "", " ", "=", "1_000", "a\tb", "é", "💥"])
def test_what_others_might_misread_is_quoted(text):
    assert yaml.safe_load(to_yaml([{"k": text}])) == {"k": text}
