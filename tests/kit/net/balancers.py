"""nginx and HAProxy in front of nodes, as `docs/examples` sets them up, with ports of the test's.

A test that needs one skips where there is none, and fails there when MONEYER_REQUIRE_PROXY=1.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.kit.missing import missing
from tests.kit.running import Answer
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

EXAMPLES = REPOSITORY / "docs" / "examples"
NAME = "coin.example.org"
"""What callers call the coin's nodes, in the examples."""
_NODES = ("10.0.0.11:5001", "10.0.0.12:5001")
_NGINX = """
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/moneyer.conf;
}}
"""


@dataclass(frozen=True)
class Balancer:
    """One that listens at `port` of 127.0.0.1."""

    port: int

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
        source: str = "127.0.0.2",
    ) -> Answer:
        """One request, with headers in this order and as often as they are named. `source`: the caller's address."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 60, (source, 0))
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True)
            if "Host" not in dict(headers):
                connection.putheader("Host", NAME)
            for name, value in headers:
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            # Who refuses a large body does not read it to its end: the answer is there all the same.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(body or b"")
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    @contextlib.contextmanager
    def listening(self, source: str) -> Iterator[int]:
        """A stream of events, open behind the block's beginning; its status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, 60, (source, 0))
        with contextlib.closing(connection):
            connection.request("GET", "/v1/events", headers={"Host": NAME})
            yield connection.getresponse().status


def _program(name: str, package: str) -> str:
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        why = f"there is no {name} for this test; on Debian: apt-get install {package}"
        missing(why, os.environ.get("MONEYER_REQUIRE_PROXY"))
    return path


def _example(name: str, nodes: Sequence[int], changes: Mapping[str, str]) -> str:
    text = (EXAMPLES / name).read_text("utf-8")
    for old, new in {**{old: f"127.0.0.1:{port}" for old, port in zip(_NODES, nodes, strict=True)}, **changes}.items():
        assert old in text, f"{name} has no {old!r} any more"
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def nginx(folder: Path, nodes: Sequence[int], changes: Mapping[str, str] | None = None) -> Iterator[Balancer]:
    """`nodes`: two ports; `changes`: what else in the example is replaced, and by what."""
    program, port = _program("nginx", "nginx-light"), free_port()
    folder.mkdir()
    (folder / "moneyer.conf").write_text(
        _example("nginx.conf", nodes, {"listen 80;": f"listen 127.0.0.1:{port};", **(changes or {})})
    )
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers could not reach the test's folder
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, user=user))
    with _running([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"], folder, port):
        yield Balancer(port)


@contextlib.contextmanager
def haproxy(folder: Path, nodes: Sequence[int], changes: Mapping[str, str] | None = None) -> Iterator[Balancer]:
    """As `nginx`."""
    program, port = _program("haproxy", "haproxy"), free_port()
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(
        _example("haproxy.cfg", nodes, {"bind :80": f"bind 127.0.0.1:{port}", **(changes or {})})
    )
    with _running([program, "-db", "-f", folder / "haproxy.cfg"], folder, port):
        yield Balancer(port)


_PATIENT = {"check inter 2s fall 2": "check inter 2s fall 60"}
"""HAProxy leaves no node out that is held up for some seconds, as on a busy machine: its callers stay there."""
MAKERS: Mapping[str, Callable[[Path, Sequence[int]], contextlib.AbstractContextManager[Balancer]]] = {
    "nginx": nginx,
    "haproxy": lambda folder, nodes: haproxy(folder, nodes, _PATIENT),
    "nginx that adds": lambda folder, nodes: nginx(
        folder, nodes, {"X-Forwarded-For $remote_addr": "X-Forwarded-For $proxy_add_x_forwarded_for"}
    ),
    "haproxy that adds": lambda folder, nodes: haproxy(
        folder, nodes, {**_PATIENT, "http-request set-header X-Forwarded-For %[src]": "option forwardfor"}
    ),
}
"""Each as its example has it but for the patience, and as it is told to add to a list that came with the request."""


@contextlib.contextmanager
def _running(command: Sequence[str | Path], folder: Path, port: int) -> Iterator[None]:
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen([*map(str, command)], stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(lambda: _listens(port) or process.poll() is not None, 20, f"{command[0]} to listen")
        assert process.poll() is None, (folder / "output").read_text("utf-8")
        yield
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False
