"""The last way: Debian's or Ubuntu's own package of RabbitMQ, installed by root."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from rmqwork.testing._node import Say, WayClosed
from rmqwork.testing._private import PrivateNode, installed_server

_UPDATE = 180.0  # seconds
_INSTALL = 600.0  # seconds; 25 s were seen

# The package starts its service, which nobody asked for. Its scripts do so by calling these by
# name, and apt takes the search path for them from DPkg::Path: so a folder of stand-ins in front
# keeps this service off, and nothing on the machine has to be changed and changed back.
_STARTERS = ("invoke-rc.d", "deb-systemd-invoke")
_STAND_IN = """\
#!/bin/sh
case "$*" in *rabbitmq*|*epmd*) exit 0 ;; esac
PATH={path}
exec {name} "$@"
"""
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start_installed(say: Say) -> PrivateNode:
    """Install ``rabbitmq-server`` and start a private node of it.

    Raises:
        WayClosed: not root, not Debian or Ubuntu, or it does not work.
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        raise WayClosed("only root may install packages")
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        raise WayClosed("no apt-get: not Debian or Ubuntu")
    if installed_server() is not None:  # somebody's own: its service is not ours to switch off
        raise WayClosed("rabbitmq-server is installed already")
    say("installing Debian's package rabbitmq-server (apt-get; its service stays off) ...")
    with tempfile.TemporaryDirectory(prefix="rmqwork-apt-") as folder:
        for name in _STARTERS:
            stand_in = Path(folder, name)
            stand_in.write_text(_STAND_IN.format(path=_SYSTEM_PATH, name=name))
            stand_in.chmod(0o755)
        _apt_get(_UPDATE, "update")
        path = f"DPkg::Path={folder}:{_SYSTEM_PATH}"
        _apt_get(
            _INSTALL, "install", "-y", "--no-install-recommends", "-o", path, "rabbitmq-server"
        )
    _run(60.0, "update-rc.d", "rabbitmq-server", "disable")  # nor is it to start at the next boot
    server = installed_server()
    if server is None:
        raise WayClosed("apt-get installed rabbitmq-server, and still there is none")
    return PrivateNode(server)


def _apt_get(timeout: float, *args: str) -> None:
    _run(timeout, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120", *args)


def _run(timeout: float, *command: str) -> None:
    """Run a command to a good end, or close this way with its last words."""
    try:
        ended = subprocess.run(
            command,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WayClosed(f"{' '.join(command)}: no end in {timeout:.0f} s") from None
    except OSError as error:
        raise WayClosed(f"cannot run {command[0]}: {error}") from None
    if ended.returncode != 0:
        lines = [line for line in ended.stdout.splitlines() if line.strip()]
        raise WayClosed(f"{' '.join(command)} failed: " + " | ".join(lines[-3:]))
