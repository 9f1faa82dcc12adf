from __future__ import annotations

import subprocess
import sys

import pytest

import rmqwork
from rmqwork import errors


def test_every_name_can_be_had():
    for name in rmqwork.__all__:
        assert getattr(rmqwork, name) is not None
    assert set(rmqwork.__all__) <= set(dir(rmqwork))


def test_every_error_is_there():
    kinds = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.RmqworkError)
    }

    assert kinds <= set(rmqwork.__all__)


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'rmqwork' has no attribute 'chian'"):
        rmqwork.chian  # noqa: B018


def test_importing_it_is_light():
    heavy = {"pydantic", "pika", "tenacity", "fast_depends", "asyncio", "importlib.metadata"}
    code = f"import sys, rmqwork; print({heavy!r} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "set()"


def test_an_app_needs_no_broker_client_to_be_declared():
    heavy = {"pika", "tenacity", "fast_depends"}
    code = (
        "import sys; from rmqwork import App; app = App('a')\n"
        "@app.task\ndef f(x: int) -> int: return x\n"
        f"app.check(); print({heavy!r} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "set()"
