"""The beginning of a worker: the template first, then all the rest.

The template takes longest, for it imports pydantic and the app. So it is started before this
process imports asyncio, the AMQP client and what settles deliveries; and this module next to
nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from rmqwork._worker.processes.launch import Started, start_template

if TYPE_CHECKING:
    from rmqwork._worker.model.options import WorkerOptions

LOG_FORMAT_VARIABLE: Final = "RMQWORK_LOG_FORMAT"
LOG_LEVEL_VARIABLE: Final = "RMQWORK_LOG_LEVEL"


def run_worker(options: WorkerOptions) -> int:
    """Run a worker until a signal ends it. To be called in the main thread.

    Args:
        options: see `WorkerOptions`.

    Returns:
        the exit code: 0 all finished; 3 some tasks handed back unfinished, or an outcome could not
        be settled.

    Raises:
        ConfigurationError: the app, an option or the topology is wrong (exit code 2).
        BrokerUnavailable: no broker within ``broker_wait`` (exit code 4).
    """
    environment = dict(os.environ)
    environment[LOG_FORMAT_VARIABLE] = options.log_format or "auto"
    environment[LOG_LEVEL_VARIABLE] = options.log_level

    def start() -> Started:
        return start_template(options.app, options.preload, environment)

    first = start()
    from rmqwork._worker.run import run

    return run(options, first, start)
