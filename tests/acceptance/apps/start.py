"""``python -m tests.acceptance.apps.start ARGUMENTS``: a worker as the command line starts it.

Stands in for ``python -m rmqwork worker`` where that is not there, with the same exit codes.
"""

from __future__ import annotations

import argparse
import sys

from rmqwork.errors import BrokerUnavailable, ConfigurationError
from rmqwork.worker.options import WorkerOptions, parse_queues
from rmqwork.worker.run import run_worker


def main() -> int:
    """Run a worker."""
    parser = argparse.ArgumentParser()
    parser.add_argument("app")
    parser.add_argument("-Q", "--queues", type=parse_queues, default=())
    parser.add_argument("-p", "--processes", type=int)
    parser.add_argument("-c", "--concurrency", type=int)
    parser.add_argument("--async-concurrency", type=int)
    parser.add_argument("--prefetch", type=int)
    parser.add_argument("--grace", type=float)
    parser.add_argument("--broker-wait", type=float)
    parser.add_argument("--health-port", type=int)
    parser.add_argument("--log-format")
    parser.add_argument("--log-level", default="INFO")
    parser.add_argument("--no-preload", dest="preload", action="store_false")
    try:
        return run_worker(WorkerOptions(**vars(parser.parse_args())))
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokerUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
