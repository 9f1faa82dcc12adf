"""What the worker process does without: it starts sooner, and is smaller."""

from __future__ import annotations

import subprocess
import sys

import pytest

WORKER = (
    "rmqwork.cli.worker",
    "rmqwork.worker.run",
    "rmqwork.worker.supervisor",
    "rmqwork.worker.shutdown",
    "rmqwork.worker.orphans",
    "rmqwork.transport.amqp.connector",
)
FOREIGN = (
    "annotated_types",
    "argparse",
    "bz2",
    "cryptography",
    "email",
    "fast_depends",
    "http",
    "lzma",
    "pydantic",
    "pydantic_core",
    "redis",
    "rich",
    "sqlalchemy",
    "tempfile",
    "tenacity",
    "tomllib",
    "typing_extensions",
)
BEFORE_THE_TEMPLATE = (
    "asyncio",
    "logging",
    "pika",
    "rmqwork.config",
    "rmqwork.logs",
    "rmqwork.topology",
)
"""What would hold back the template: it takes longest, so it starts before these are imported."""


def imported(modules: tuple[str, ...], unwanted: tuple[str, ...]) -> list[str]:
    code = (
        f"import sys, {', '.join(modules)}\n"
        f"print(*(name for name in {unwanted!r} if name in sys.modules))"
    )
    return subprocess.check_output([sys.executable, "-c", code], text=True).split()


def test_the_worker_process_imports_nothing_that_only_an_app_needs() -> None:
    assert imported(WORKER, FOREIGN) == []


def test_the_template_starts_before_what_it_does_not_need_is_imported() -> None:
    modules = ("rmqwork.cli.program", "rmqwork.cli.worker", "rmqwork.worker.options")
    assert imported((*modules, "rmqwork.worker.starting"), BEFORE_THE_TEMPLATE) == []


@pytest.mark.parametrize("name", ["AsyncResult", "GroupResult", "as_completed", "wait", "State"])
def test_the_names_of_results_are_there_when_asked_for(name: str) -> None:
    code = f"from rmqwork.results import {name}; print({name}.__module__)"

    found = subprocess.check_output([sys.executable, "-c", code], text=True)

    assert found.startswith("rmqwork.results.")
