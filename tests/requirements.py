"""Parts of the machine that some tests require: a broker, stores, programs.

A test without its part is skipped, and the last lines of the run name the part and the reason;
with ``RMQWORK_TEST_STRICT=1`` it fails instead, so that CI cannot pass for the lack of a part.
``tools/setup test`` installs all of them.
"""

from __future__ import annotations

import importlib
import os
import shutil
from types import ModuleType
from typing import NoReturn

import pytest

from rmqwork.errors import BrokerUnavailable
from rmqwork.testing._node import Say
from rmqwork.testing.broker import Broker, start_broker

PREFIX = "missing here: "
# Debian has servers in folders that only root has on the search path.
SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def unavailable(part: str, reason: str) -> NoReturn:
    """Skip the test that runs, or fail it where no part may be missing."""
    if os.environ.get("RMQWORK_TEST_STRICT"):
        pytest.fail(f"{PREFIX}{part}: {reason}", pytrace=False)
    pytest.skip(f"{PREFIX}{part}: {reason}")


def require_program(name: str, package: str) -> str:
    """Return the path of a program of a package of Debian."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}")
    if path is None:
        unavailable(package, f"no program {name} (Debian, Ubuntu: apt-get install {package})")
    return path


def require_module(name: str) -> ModuleType:
    """Return a module of one of our extras."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        unavailable(f"the Python package {name}", str(error))


def require_broker(*, prefer: str | None = None, say: Say | None = None) -> Broker:
    """Start a broker as `start_broker` does; one that somebody has named may not be missing."""
    try:
        return start_broker(prefer=prefer, say=say)
    except BrokerUnavailable as error:
        broker_unavailable(error, named=prefer is None)


def broker_unavailable(error: BrokerUnavailable, *, named: bool = True) -> NoReturn:
    """Skip or fail for the lack of a broker; raise if the environment has named one to take."""
    names = ("RMQWORK_BROKER", "RMQWORK_TEST_BROKER")
    if named and any(map(os.environ.get, names)):
        raise error
    ways = [line.strip() for line in str(error).splitlines() if line.startswith("  ")]
    unavailable("RabbitMQ", "; ".join(ways))


def missing_part(report: pytest.TestReport) -> str | None:
    """Return the part that a skipped test lacked, with the reason, or None if it lacked none."""
    if not isinstance(report.longrepr, tuple):
        return None
    before, prefix, part = report.longrepr[2].partition(PREFIX)
    return part if prefix and before == "Skipped: " else None
