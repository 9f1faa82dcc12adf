"""Long bodies travel compressed."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from rmqwork import ConfigurationError, InvalidMessage
from rmqwork._messages.codec import JSON, make_publication, plain_body
from rmqwork._messages.compression import compress, decompress
from rmqwork._messages.options import NO_OPTIONS
from rmqwork._messages.routing import Route

NOW = 1_800_000_000.25


ROUTE = Route("rmqwork.tasks", "low")


def test_a_long_body_travels_compressed_and_a_short_one_does_not():
    body = b'{"text":"' + b"x" * 20_000 + b'"}'

    long = make_publication("t", body, ROUTE, NO_OPTIONS, now=NOW, app_id=None, compress_above=1000)
    short = make_publication(
        "t", b"{}", ROUTE, NO_OPTIONS, now=NOW, app_id=None, compress_above=1000
    )

    assert len(long.body) < 200
    assert long.content_encoding == "zstd"
    assert plain_body(long.body, long.content_type, long.content_encoding) == body
    assert (short.body, short.content_encoding) == (b"{}", None)


def test_what_is_compressed_may_be_longer_than_the_limit():
    body = b"x" * 20_000
    fits = make_publication(
        "t", body, ROUTE, NO_OPTIONS, now=NOW, app_id=None, max_size=1000, compress_above=0
    )
    assert plain_body(fits.body, JSON, "ZSTD") == body


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr("rmqwork._messages.compression.MAX_SIZE", 3 << 20)
    body = compress(bytes(4 << 20))
    assert len(body) < 1000
    with pytest.raises(InvalidMessage, match="more than 3,145,728 bytes"):
        decompress(body)


@pytest.mark.parametrize("cut", [0, 5, -1])
def test_half_a_body_is_not_taken_for_a_whole_one(cut):
    with pytest.raises(InvalidMessage):
        plain_body(compress(b'{"a":1}' * 100)[:cut], JSON, "zstd")


def test_without_the_library_it_is_said_what_to_install(monkeypatch):
    packed = compress(b"{}")
    monkeypatch.setattr(
        "rmqwork._messages.compression._tools", SimpleNamespace(compressor=None, decompressor=None)
    )
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ConfigurationError, match=r"rmqwork\[zstd\]"):
        compress(b"{}")
    with pytest.raises(InvalidMessage, match=r"rmqwork\[zstd\]"):
        decompress(packed)
