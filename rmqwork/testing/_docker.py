"""RabbitMQ in a Docker container, through testcontainers."""

from __future__ import annotations

import gc
import os
import secrets
import time
import warnings
from typing import TYPE_CHECKING, Any

from rmqwork._admin.management import Management
from rmqwork.testing._keep import Keeper
from rmqwork.testing._node import (
    BrokerOperationError,
    ProviderUnavailable,
    Say,
    free_ports,
    wait_until_ready,
    wait_until_silent,
)

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.docker_client import DockerClient

DEFAULT_IMAGE = "rabbitmq:4-management"
OWNER_LABEL = "rmqwork.owner"  # the process that asked for the container

_ANSWER = 20.0  # seconds for the daemon, or a registry behind it, to answer something
_PULL = 300.0  # seconds for a whole image: some 130 MB


def image_name() -> str:
    """The image to run: ``RMQWORK_RABBITMQ_IMAGE``, or RabbitMQ 4 with its management plugin."""
    return os.environ.get("RMQWORK_RABBITMQ_IMAGE") or DEFAULT_IMAGE


class DockerNode:
    """A RabbitMQ container on fixed host ports, so that its URL outlives a restart.

    Args:
        image: a local RabbitMQ image with the management plugin on.
        host: where the daemon publishes ports; on this machine, only on loopback.
        container: testcontainers' class, whose import is not free of charge.
    """

    def __init__(self, image: str, host: str, container: type[DockerContainer]) -> None:
        local = host in ("localhost", "127.0.0.1")
        host = "127.0.0.1" if local else host
        amqp, management = free_ports(2)
        name = f"rmqwork-rabbitmq-{secrets.token_hex(6)}"
        self.url = f"amqp://guest:guest@{host}:{amqp}/"
        self.management_url: str | None = f"http://guest:guest@{host}:{management}"
        self._management = Management(self.management_url)
        self._container = container(image, name=name).with_kwargs(
            hostname="rabbit", labels={OWNER_LABEL: str(os.getpid())}
        )
        # Only numbers are foreseen by testcontainers' types; Docker's client takes an address, too.
        ports: dict[str, Any] = self._container.ports
        for inside, outside in ((5672, amqp), (15672, management)):
            ports[str(inside)] = ("127.0.0.1", outside) if local else outside
        self._keeper = Keeper("container", name)
        try:
            self._container.start()
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        wait_until_ready(self.url, self._management.answers, self._why_it_ended)

    def _why_it_ended(self) -> str | None:
        container = self._container.get_wrapped_container()
        container.reload()
        if container.status in ("created", "running", "restarting"):
            return None
        lines = container.logs(tail=6).decode(errors="replace").split("\n")
        return f"the container is {container.status}: " + " | ".join(filter(None, lines))

    def start(self) -> None:
        """Start the same container again."""
        self._container.get_wrapped_container().start()
        self._wait()

    def stop(self) -> None:
        """Shut down in good order."""
        self._container.get_wrapped_container().stop(timeout=60)
        wait_until_silent(self.url)

    def kill(self) -> None:
        """SIGKILL the node and all else in its container."""
        self._container.get_wrapped_container().kill("KILL")
        self._container.get_wrapped_container().wait()
        wait_until_silent(self.url)

    def pause(self) -> None:
        """Freeze all processes of the container (the kernel's freezer)."""
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        """Let them go on."""
        self._container.get_wrapped_container().unpause()

    def rabbitmqctl(self, *args: str) -> str:
        """Run ``rabbitmqctl`` in the container."""
        ended = self._container.exec(["rabbitmqctl", "-q", *args])
        text = ended.output.decode(errors="replace")
        if ended.exit_code != 0:
            raise BrokerOperationError(
                f"rabbitmqctl {' '.join(args)} ended with {ended.exit_code}: {text.strip()}"
            )
        return text

    def close(self) -> None:
        """Remove the container with its volumes."""
        self._keeper.tidy()
        self._container.get_docker_client().client.close()


def start_docker(say: Say) -> DockerNode:
    """A RabbitMQ container.

    Raises:
        ProviderUnavailable: no testcontainers, no daemon, no image, or it does not start.
    """
    with warnings.catch_warnings():  # testcontainers warns about itself when it is imported
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from docker.errors import DockerException
            from requests.exceptions import RequestException
            from testcontainers.core.config import testcontainers_config
            from testcontainers.core.container import DockerContainer
            from testcontainers.core.docker_client import DockerClient
        except ImportError as error:
            raise ProviderUnavailable(
                f"no Python package {error.name} (pip install 'rmqwork[testing]')"
            ) from None
    image = image_name()
    daemon = _reach(DockerClient)
    try:
        _have_image(daemon.client, image, say)
        # Ryuk, testcontainers' own keeper, is one more image; ours does without.
        if not _is_local(daemon.client, testcontainers_config.ryuk_image):
            testcontainers_config.ryuk_disabled = True
        return DockerNode(image, daemon.host(), DockerContainer)
    except (DockerException, RequestException) as error:
        raise ProviderUnavailable(f"the Docker daemon does not do it: {_in_short(error)}") from None
    finally:
        daemon.client.close()


def _reach(client: type[DockerClient]) -> DockerClient:
    """A client of a daemon that answers."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with warnings.catch_warnings():
        # Docker's client forgets the socket that it could not connect: let that be collected here,
        # and not be some later test's ResourceWarning.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            daemon = client(timeout=_ANSWER)
            daemon.client.ping()
        except (DockerException, RequestException) as error:
            reason = _in_short(error)
        else:
            return daemon
        gc.collect()
    raise ProviderUnavailable(f"no Docker daemon answers: {reason}")


def _is_local(client: Any, image: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    return True


def _have_image(client: Any, image: str, say: Say) -> None:
    """Pull the image when it is not local; raises `ProviderUnavailable` if that fails or drags."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if _is_local(client, image):
        return
    say(f"pulling the image {image} ...")
    repository, _, tag = image.rpartition(":")
    if not repository or "/" in tag:  # no tag, or the colon was a registry's port
        repository, tag = image, "latest"
    end = time.monotonic() + _PULL
    try:
        for event in client.api.pull(repository, tag=tag, stream=True, decode=True):
            if "error" in event:
                raise ProviderUnavailable(f"cannot pull {image}: {event['error']}")
            if time.monotonic() > end:
                raise ProviderUnavailable(f"cannot pull {image} in {_PULL:.0f} s")
    except (DockerException, RequestException) as error:
        raise ProviderUnavailable(f"cannot pull {image}: {_in_short(error)}") from None


def _in_short(error: Exception) -> str:
    """The heart of an error that wraps errors."""
    reason = getattr(error, "explanation", None) or str(error)
    return reason.strip().partition("\n")[0]
