"""Bodies that travel compressed, by Zstandard (RFC 8878): ``content_encoding: zstd``.

Off by default; ``compress_above`` says from how many bytes on. The library is an extra
(``rmqwork[zstd]``) and is imported on first use.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from rmqwork.errors import ConfigurationError, InvalidMessage

if TYPE_CHECKING:
    import zstandard

ZSTD: Final = "zstd"
MAX_SIZE: Final = 256 << 20
"""Bytes that a body may come to: a few may stand for any number."""
_PIECE: Final = 1 << 20


class _Tools(threading.local):
    """Each thread has its own: they are not to be shared."""

    compressor: zstandard.ZstdCompressor | None = None
    decompressor: zstandard.ZstdDecompressor | None = None


_tools = _Tools()


def compress(body: bytes) -> bytes:
    """A body, compressed.

    Raises:
        ConfigurationError: the library is not installed.
    """
    tool = _tools.compressor
    if tool is None:
        try:
            import zstandard
        except ImportError:
            raise ConfigurationError(
                "compress_above needs a library that is not installed: pip install rmqwork[zstd]"
            ) from None
        tool = _tools.compressor = zstandard.ZstdCompressor()
    return tool.compress(body)


def decompress(body: bytes) -> bytes:
    """What `compress` was given.

    Raises:
        InvalidMessage: it is not compressed so, or comes to more than 256 MiB.
    """
    try:
        import zstandard
    except ImportError:
        raise InvalidMessage(
            "its body is compressed (zstd), which this process cannot read: pip install "
            "rmqwork[zstd] where its worker runs, then replay the message"
        ) from None
    tool = _tools.decompressor
    if tool is None:
        tool = _tools.decompressor = zstandard.ZstdDecompressor()
    try:
        expected = zstandard.frame_content_size(body)  # -1: it does not say
        pieces, size = [], 0
        with tool.stream_reader(body) as reader:
            while max(size, expected) <= MAX_SIZE and (piece := reader.read(_PIECE)):
                pieces.append(piece)
                size += len(piece)
    except zstandard.ZstdError as error:
        raise InvalidMessage(f"its body is not zstd, as content_encoding says: {error}") from None
    if max(size, expected) > MAX_SIZE:
        raise InvalidMessage(f"its compressed body comes to more than {MAX_SIZE:,} bytes")
    if expected not in (-1, size):
        raise InvalidMessage(f"its compressed body has {size:,} of {expected:,} bytes")
    return b"".join(pieces)
