from __future__ import annotations

import pytest

from rmqwork._config.sizes import parse_size, show_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("400000000", 400_000_000),
        ("400MB", 400_000_000),
        ("400M", 400_000_000),
        ("1.5 GiB", 3 << 29),
        ("512Mi", 512 << 20),
        ("64kb", 64_000),
        ("7b", 7),
    ],
)
def test_sizes_are_read_as_people_and_kubernetes_write_them(text: str, size: int):
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "0MB", "-1", "MB", "1XB", "1 M i", "nan", "1e9"])
def test_anything_else_is_refused_with_an_example(text: str):
    with pytest.raises(ValueError, match=f"'{text}' is no size; write 400000000, 400MB or 400MiB"):
        parse_size(text)


def test_for_people():
    assert show_size(123_456_789) == "123 MB"
