"""The yardstick of bench_status: the least that Bottle on granian can do."""

from __future__ import annotations

import sys
from typing import Any

from bottle import Bottle, response
from granian.constants import HTTPModes, Interfaces
from granian.server import Server

from moneyer.node.server import THREADS


def load_app() -> Any:
    app = Bottle()

    def answer() -> str:
        response.content_type = "application/json"
        return '{"status": "ok"}'

    app.route("/", "GET", answer)
    return app


def main() -> None:
    server = Server(
        "bench.trivial",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=THREADS,
        http=HTTPModes.http1,
        websockets=False,
        log_enabled=False,
    )
    server.serve(target_loader=load_app, wrap_loader=False)


if __name__ == "__main__":
    main()
