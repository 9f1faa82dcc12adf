"""Ask the worker of this container how it is, for Docker's health checks, which have no HTTP.

``python -m rmqwork.monitor.probe [PATH]`` asks ``/readyz``, or PATH, on ``RMQWORK_HEALTH_PORT``;
exit code 0 = well, 1 = not. Without that variable there is nothing to ask (a producer): 0.
"""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Mapping, Sequence

_PATIENCE = 4.0


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Ask, print the answer, and return the exit code."""
    port = environ.get("RMQWORK_HEALTH_PORT")
    if not port:
        return 0
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_PATIENCE)
    try:
        connection.request("GET", arguments[0] if arguments else "/readyz")
        answer = connection.getresponse()
        print(answer.read().decode())
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer at port {port}: {error}")
        return 1
    finally:
        connection.close()
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
