"""Addresses of result back ends."""

from __future__ import annotations

import pytest

from rmqwork._config.result_addresses import check_address, is_store


def test_addresses():
    assert check_address("postgresql+psycopg://u:p@h/d") == "postgresql+psycopg://u:p@h/d"
    assert [is_store(url) for url in (None, "rpc://", "redis://h", "sqlite:///x")] == [
        False,
        False,
        True,
        True,
    ]
    for wrong in ("http://x", "redis", ""):
        with pytest.raises(ValueError, match="unknown result back end"):
            check_address(wrong)
