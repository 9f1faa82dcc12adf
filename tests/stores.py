"""Real stores for tests: private servers on free ports, in a temporary folder, gone in the end."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rmqwork.testing._node import free_ports
from tests.requirements import require_program

TIMEOUT = 60.0


@contextmanager
def store(kind: str) -> Iterator[tuple[str, Server]]:
    """A store with nothing in it: its address, and the server, which may be stopped."""
    binary = _binary(kind)
    with tempfile.TemporaryDirectory(prefix=f"rmqwork-{kind}-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        folder.chmod(0o755)
        server = _MAKERS[kind](binary, folder, free_ports(1)[0])
        server.start()
        try:
            yield server.url, server
        finally:
            server.stop()


class Server:
    """A store's process.

    Args:
        url: its address, as an app has it.
        command: that runs it in the foreground.
        port: that it listens on.
        user: who runs it.
        ending: the signal that ends it.
    """

    def __init__(
        self,
        url: str,
        command: Sequence[str],
        port: int,
        user: str | None = None,
        ending: int = signal.SIGTERM,
    ) -> None:
        self.url = url
        self._command = command
        self._port = port
        self._user = user
        self._ending = ending
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + TIMEOUT
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise AssertionError(f"it does not start: {' '.join(self._command)}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1):
                pass
        except OSError:
            return False
        from rmqwork._results.backends import open_store

        opened = open_store(self.url)
        try:
            opened.fetch(["x"])
        except Exception:  # it starts, and says no
            return False
        finally:
            opened.close()
        return True

    def stop(self) -> None:
        """End it; its data stays until the end of `store`."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(self._ending)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _redis(binary: str, folder: Path, port: int) -> Server:
    command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    return Server(
        f"redis://127.0.0.1:{port}/0", [*command, "--save", "", "--appendonly", "yes"], port
    )


def _postgresql(binary: str, folder: Path, port: int) -> Server:
    user = _user("postgres", folder)
    data = str(folder / "data")
    made = [
        str(Path(binary).with_name("initdb")),
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "postgres",
        "-N",
    ]
    _lay_out(made, user, folder)
    command = [binary, "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-F"]
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    return Server(url, command, port, user, signal.SIGINT)


def _mariadb(binary: str, folder: Path, port: int) -> Server:
    user = _user("mysql", folder)
    data = f"--datadir={folder / 'data'}"
    made = ["mariadb-install-db", "--no-defaults", data, "--skip-test-db"]
    made += ["--auth-root-authentication-method=normal", "--innodb-use-native-aio=0"]
    _lay_out(made, user, folder)
    command = [binary, "--no-defaults", data, f"--socket={folder / 's'}", f"--port={port}"]
    command += [f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1"]
    command += ["--innodb-use-native-aio=0"]  # its queue is the machine's, and may be used up
    return Server(f"mysql://root@127.0.0.1:{port}/mysql", command, port, user)


_MAKERS: dict[str, Callable[[str, Path, int], Server]] = {
    "redis": _redis,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
}


def _lay_out(command: Sequence[str], user: str | None, folder: Path) -> None:
    """Make a data folder; once more if it fails: kernels have limits that neighbours use up."""
    for _ in range(2):
        done = subprocess.run(command, check=False, capture_output=True, user=user, cwd=folder)
        if done.returncode == 0:
            return
        shutil.rmtree(folder / "data", ignore_errors=True)
        time.sleep(1)
    text = (done.stdout + done.stderr).decode(errors="replace")
    raise AssertionError(f"{command[0]}: exit code {done.returncode}: {text[-2000:]}")


def _user(name: str, folder: Path) -> str | None:
    """Who runs a server that does not run as root; the folder is theirs."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(name)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return name


def _binary(kind: str) -> str:
    if kind == "postgresql":  # Debian keeps each version of it off the search path
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        return str(versions[-1]) if versions else require_program("postgres", "postgresql")
    name, package = {
        "redis": ("redis-server", "redis-server"),
        "mariadb": ("mariadbd", "mariadb-server"),
    }[kind]
    return require_program(name, package)
