"""A local network for one test: its hosts are network namespaces on one bridge, and reach nothing else.

It needs root, Linux and `ip` (iproute2); elsewhere the tests that use it are skipped and say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.kit.commands import MONEYER, environment

_number = count()


@dataclass(frozen=True)
class Host:
    """`space`: its network namespace; `address`: on the network."""

    space: str
    address: str

    def command(self, *command: str | Path) -> list[str]:
        """The command as it runs on this host. `ip netns exec` becomes it, so that its process id is ours."""
        return ["ip", "netns", "exec", self.space, *map(str, command)]

    def start(self, log: Path, *arguments: str | Path, **env: str) -> subprocess.Popen[bytes]:
        """`moneyer …`, found by others unless `env` says no."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.command(*MONEYER, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=REPOSITORY,
                env=on_lan(**env),
            )

    def moneyer(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """`moneyer …`, to its end."""
        return subprocess.run(
            self.command(*MONEYER, *arguments),
            capture_output=True,
            text=True,
            timeout=60,
            env=on_lan(**env),
            check=False,
        )


def on_lan(**env: str) -> dict[str, str]:
    """As for other processes, but these may find each other."""
    variables = environment(**env)
    if "MONEYER_NO_DISCOVERY" not in env:
        del variables["MONEYER_NO_DISCOVERY"]
    return variables


@contextmanager
def lan(hosts: int) -> Iterator[list[Host]]:
    """Hosts 10.77.0.1, 10.77.0.2, … that reach each other and nobody else. Skips the test where there can't be any."""
    if sys.platform != "linux" or shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root on Linux, and iproute2: network namespaces are the test's hosts")
    names = [f"moneyer-{os.getpid()}-{next(_number)}" for _ in range(hosts + 1)]
    made: list[str] = []
    try:
        for name in names:
            done = _ip("netns", "add", name, check=False)
            if "not permitted" in done.stderr or "Permission denied" in done.stderr:
                pytest.skip("this system does not let root make network namespaces")
            assert done.returncode == 0, done.stderr
            made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        switch, *spaces = names
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        found = []
        for number, space in enumerate(spaces, 1):
            port, address = f"port{number}", f"10.77.0.{number}"
            _ip("-n", switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
            _ip("-n", switch, "link", "set", port, "master", "switch", "up")
            _ip("-n", space, "address", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            found.append(Host(space, address))
        yield found
    finally:
        for name in made:
            _ip("netns", "delete", name, check=False)


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=20, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"ip {' '.join(arguments)}: {done.stderr}")
    return done
