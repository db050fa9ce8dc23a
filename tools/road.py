"""Through how many of our files does a call go? `python -m tools.road` traces two, on a node in this process:

`POST /p2p/block` with a new block, to its commit by the writer's thread, and `GET /v1/status` when a block has come
since it was last asked. It prints the files in the order in which the call first enters them.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event

from moneyer.node.api.app import build_app
from moneyer.node.api.parts import status as status_parts
from moneyer.node.config import Config
from moneyer.node.core import codec
from moneyer.node.core.coinfile import coin_to_toml
from moneyer.node.service import Node
from tests.kit.chains import ChainBuilder, easy_coin

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("node", "worker", "migrations")
_LOOK_SECONDS = 3600.0
"""For which a look whether a worker lives holds here: of a node's statuses, four a second look (five files more)."""


class Road:
    """Our files that are entered while some work is done, by any thread of this process or by one alone."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._is_on = False
        self._only: int | None = None

    def enter(self, frame: FrameType, event: str, _argument: Any) -> None:
        """The profile function of every thread (`threading.setprofile`)."""
        if not self._is_on or event != "call" or self._only not in (None, threading.get_ident()):
            return
        path = Path(frame.f_code.co_filename).resolve()
        if not path.is_relative_to(ROOT):
            return
        name = path.relative_to(ROOT).as_posix()
        if name.split("/")[0] in PARTS and name not in self.files:
            self.files.append(name)

    def of(self, work: Callable[[], object], *, own_thread: bool = False) -> list[str]:
        """The files that `work` enters, in order, until it is done or `stop` is called.

        `own_thread`: what other threads do meanwhile (the writer, after the block before) is not counted.
        """
        self.files, self._is_on, self._only = [], True, threading.get_ident() if own_thread else None
        work()
        self._is_on = False
        return self.files

    def stop(self, _connection: Connection) -> None:
        """The road ends here (SQLAlchemy's event `commit`), if it is the writer that commits."""
        if threading.current_thread().name == "writer":
            self._is_on = False


def call(app: Any, method: str, path: str, body: bytes = b"") -> bytes:
    """The answer to one request, asked of the WSGI application itself."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/octet-stream",
        "wsgi.input": BytesIO(body),
    }
    told: list[str] = []
    answer = b"".join(app.wsgi(environ, lambda status, _headers: told.append(status)))
    if not told[0].startswith("200"):
        raise SystemExit(f"{method} {path}: {told[0]} {answer.decode()}")
    return answer


def roads(folder: Path) -> dict[str, list[str]]:
    """The files of each call, in the order in which the call first enters them."""
    road = Road()
    threading.setprofile(road.enter)
    sys.setprofile(road.enter)
    try:
        coin = easy_coin()
        (folder / "coin.toml").write_text(coin_to_toml(coin), "utf-8")
        node = Node.open(Config(data=folder, development=True))
        app, chain = build_app(node), ChainBuilder(coin)

        blocks = [codec.encode_block(chain.add()) for _ in range(2)]

        def push() -> bytes:
            return call(app, "POST", "/p2p/block", blocks.pop(0))

        def status() -> bytes:
            return call(app, "GET", "/v1/status")

        push()
        with patch.object(status_parts, "_WORKER_SECONDS", _LOOK_SECONDS):
            status()  # what is made once, at the first call, is no part of the road
        event.listen(Engine, "commit", road.stop)
        pushed = road.of(push)
        event.remove(Engine, "commit", road.stop)
        asked = road.of(status, own_thread=True)
        node.close()
        return {"POST /p2p/block": pushed, "GET /v1/status": asked}
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def main() -> None:
    """Print both roads."""
    with tempfile.TemporaryDirectory() as folder:
        for name, files in roads(Path(folder)).items():
            print(f"{name}: {len(files)} files")
            print("".join(f"    {file}\n" for file in files))


if __name__ == "__main__":
    main()
