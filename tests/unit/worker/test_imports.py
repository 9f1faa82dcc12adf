"""What the worker process does without: it starts sooner, and is smaller."""

from __future__ import annotations

import subprocess
import sys

WORKER = (
    "rmqwork._cli.worker",
    "rmqwork._worker.run",
    "rmqwork._worker.worker",
    "rmqwork._worker.shutdown",
    "rmqwork._worker.orphans",
    "rmqwork._transport.amqp.connector",
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
    "rmqwork._config.settings",
    "rmqwork._config.logging",
    "rmqwork._topology.topology",
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
    modules = ("rmqwork._cli.program", "rmqwork._cli.worker", "rmqwork._worker.model.options")
    assert imported((*modules, "rmqwork._worker.starting"), BEFORE_THE_TEMPLATE) == []
