"""A node's HTTP API for programs: what the command line uses. It imports nothing of the node but its errors."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from urllib.parse import urlsplit

import requests

from node.core.errors import MoneyerError

MAX_ANSWER = 16_000_000
"""Bytes; an answer of `/get_chain` has at most 8 MB."""
DEADLINE = 10.0
"""Seconds for a whole call."""


class NoAnswer(MoneyerError):
    """Nobody listens there, or not in time, or what came is no answer of a node."""

    code = "no_answer"


class Refused(MoneyerError):
    """The node said no. `status`: of HTTP; `node_code` and `details`: the node's own."""

    code = "refused"

    def __init__(self, message: str, status: int, node_code: str, details: dict[str, Any]) -> None:
        super().__init__(message, **details)
        self.status = status
        self.node_code = node_code


class Client:
    """One node. Calls raise NoAnswer and Refused, and never take longer than their deadline."""

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self.url = _origin(url)
        self._token = token

    def get(self, path: str, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to GET `path`."""
        return self._call("GET", path, None, deadline)

    def post(self, path: str, body: Any = None, deadline: float = DEADLINE) -> Any:
        """The JSON that the node answers to POST `path` with `body` as JSON."""
        return self._call("POST", path, body, deadline)

    def status(self, deadline: float = DEADLINE) -> dict[str, Any]:
        """`GET /v1/status`."""
        answer = self.get("/v1/status", deadline)
        if not isinstance(answer, dict):
            raise self._nonsense()
        return answer

    def _nonsense(self) -> NoAnswer:
        return NoAnswer(f"what answers at {self.url} is no Moneyer node: is the address right?")

    def _call(self, method: str, path: str, body: Any, deadline: float) -> Any:
        """requests' own time-outs are between bytes: a thread that is no longer waited for makes them a deadline."""
        done: list[tuple[int, bytes]] = []
        failed: list[Exception] = []

        def call() -> None:
            try:
                done.append(self._exchange(method, path, body, deadline))
            except Exception as error:  # raised again below, in the caller's thread
                failed.append(error)

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(deadline)
        if failed:
            raise self._explained(failed[0]) from None
        if not done:
            raise NoAnswer(f"{self.url} did not answer within {deadline:g} s")
        return self._read(*done[0])

    def _exchange(self, method: str, path: str, body: Any, deadline: float) -> tuple[int, bytes]:
        headers = {"Accept-Encoding": "identity"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        end = time.monotonic() + deadline
        with requests.Session() as session:
            # A proxy or a .netrc of the environment has no business between a person and their node.
            session.trust_env = False
            answer = session.request(
                method,
                self.url + path,
                json=body,
                headers=headers,
                timeout=(min(3.0, deadline), deadline),
                allow_redirects=False,
                stream=True,
            )
            content = bytearray()
            for chunk in answer.iter_content(65536):
                content += chunk
                if len(content) > MAX_ANSWER or time.monotonic() > end:
                    raise NoAnswer(f"{self.url} sent more than was asked for, or too slowly")
            return answer.status_code, bytes(content)

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, requests.ConnectionError):
            return NoAnswer(f"no node answers at {self.url}: start one with `moneyer up`, or name another with --node")
        if isinstance(error, requests.RequestException | ValueError):
            return NoAnswer(f"{self.url} could not be asked: {type(error).__name__}")
        return error

    def _read(self, status: int, content: bytes) -> Any:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            raise self._nonsense() from None
        if status < 400:
            return answer
        error = answer.get("error") if isinstance(answer, dict) else None
        if not isinstance(error, dict):
            raise self._nonsense()
        details = error.get("details")
        raise Refused(
            str(error.get("message", f"refused with status {status}"))[:1000],
            status,
            str(error.get("code", "error"))[:100],
            details if isinstance(details, dict) else {},
        )


def _origin(url: str) -> str:
    """`scheme://host:port` of what a person typed; `http` where they left it out. Raises NoAnswer."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise NoAnswer(f"{url[:200]!r} is no address of a node: one looks like http://127.0.0.1:5001")
    return f"{parts.scheme}://{parts.netloc}"
