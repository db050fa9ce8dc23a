"""A real Prometheus for a test: its own folder and port, ended behind the block."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.kit.missing import missing
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

HOW_TO_INSTALL = "on Debian: apt-get install --no-install-recommends prometheus"


class Prometheus:
    """One that runs, asked by its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, text: str) -> list[float]:
        """The values of an instant query that are numbers, as of now. AssertionError where it cannot be read."""
        data = self._get("/api/v1/query", query=text)
        found = [data["result"]] if data["resultType"] == "scalar" else [row["value"] for row in data["result"]]
        return [number for _, value in found if math.isfinite(number := float(value))]

    def label_values(self, label: str, series: str) -> list[str]:
        """The values that a label has among `series`. AssertionError where that cannot be read."""
        return list(map(str, self._get(f"/api/v1/label/{label}/values", **{"match[]": series})))

    def _get(self, path: str, **params: str) -> Any:
        answer = requests.get(self.url + path, params=params, timeout=30)
        assert answer.status_code == 200, f"{params}: {answer.text}"
        return answer.json()["data"]


def find_prometheus() -> str:
    """Its path. Skips the test where there is none; fails it when MONEYER_REQUIRE_PROMETHEUS=1."""
    path = shutil.which("prometheus")
    if path is None:
        why = f"there is no Prometheus for this test; {HOW_TO_INSTALL}"
        missing(why, os.environ.get("MONEYER_REQUIRE_PROMETHEUS"))
    return path


@contextmanager
def prometheus(folder: Path, settings: str) -> Iterator[Prometheus]:
    """One that has read `settings` (a prometheus.yml) and answers; its data and its log lie in `folder`."""
    path = find_prometheus()
    folder.mkdir(parents=True)
    config, log = folder / "prometheus.yml", folder / "prometheus.log"
    config.write_text(settings, "utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [
        path,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder)
    try:
        wait_until(lambda: _is_ready(address) or process.poll() is not None, 60, "Prometheus to answer")
        assert process.poll() is None, log.read_text("utf-8")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _is_ready(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/-/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False
