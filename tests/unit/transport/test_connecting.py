"""Addresses of brokers: what is wrong with one is said, and no password with it."""

from __future__ import annotations

import pytest

from rmqwork._transport.connecting import connect
from rmqwork.errors import ConfigurationError


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:se/cret@localhost/",
        "amqp://guest:se@cret:x@localhost:port/",
        "amqp://guest:secret@localhost:99999/",
    ],
)
def test_an_address_that_cannot_be_read_keeps_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connect([url])

    said = str(caught.value)
    assert "se" not in said.replace("used", "").replace("user", "")
    assert "%2F" in said


@pytest.mark.parametrize("url", ["foo", "http://localhost/", "amqp:///vhost", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="broker address"):
        connect([url])


def test_a_label_has_no_password() -> None:
    assert connect(["amqp://me:hidden@localhost/shop"]).label == "amqp://me@localhost:5672/shop"
