"""A small HTTP server for many nodes in one process: a thread for each kept-alive connection, one WSGI application."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any


class ThreadServer(ThreadingHTTPServer):
    """Serves `app` on `port` of loopback; `start` it in a thread by `serve_forever`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, app: Any) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.app = app

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nodes that stop hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ThreadServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        path, _, query = self.path.partition("?")
        environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        environ |= {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": str(self.client_address[0]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(size),
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
        }
        chunks = self.server.app.wsgi({**environ, "wsgi.input": BytesIO(self.rfile.read(size))}, self._begin)
        self.wfile.write(b"".join(chunks))
        self.wfile.flush()

    def _begin(self, status: str, headers: list[tuple[str, str]]) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.wfile.write(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1"))

    wbufsize = 65_536  # head and body in one packet
    do_GET = do_POST = _serve  # noqa: N815 - the names that http.server looks for
