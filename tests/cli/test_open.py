"""`moneyer open`, as a process: an address that signs a browser in, printed and opened."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.kit.commands import asked, browser_that_notes, moneyer, refusal
from tests.kit.running import RunningNode, own_node, running
from tests.kit.waiting import wait_until

CODE = r"[0-9A-Za-z_-]{43}"


@pytest.fixture
def browser(tmp_path: Path) -> dict[str, str]:
    return {"BROWSER": browser_that_notes(tmp_path)}


def signs_in(node: RunningNode, url: str) -> bool:
    headers = {"Sec-Fetch-Site": "same-origin"}
    return node.post("/v1/session", {"code": url.partition("#")[2]}, headers).status == 200


def test_it_opens_the_page_with_a_code_that_signs_in(tmp_path: Path, browser: dict[str, str]) -> None:
    with own_node(tmp_path / "node") as node:
        done = moneyer("open", "--data", node.config.data, env=browser)
        assert done.returncode == 0, done.stderr
        url = done.stdout.strip()
        assert re.fullmatch(rf"{node.url}/signin#{CODE}", url)
        wait_until(lambda: (tmp_path / "opened").exists() and (tmp_path / "opened").read_text() == url, 20, "a browser")
        assert signs_in(node, url)
        assert not signs_in(node, url)


def test_it_only_prints_the_address_where_it_is_told_to_or_there_is_no_browser(
    tmp_path: Path, browser: dict[str, str]
) -> None:
    with own_node(tmp_path / "node") as node:
        done = moneyer("open", "--print", "--data", node.config.data, env=browser)
        assert signs_in(node, done.stdout.strip())
        assert "60 seconds" in done.stderr
        nowhere = {"BROWSER": "", "DISPLAY": "", "WAYLAND_DISPLAY": ""}
        done = moneyer("open", "--data", node.config.data, env=nowhere)
        assert (done.returncode, signs_in(node, done.stdout.strip())) == (0, True)
        assert "no browser was found" in done.stderr
        said = asked("open", "--data", node.config.data)
        assert said["expires_in"] == 60
        assert signs_in(node, said["url"])
        assert not (tmp_path / "opened").exists()


def test_on_a_development_network_no_code_is_needed(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        assert moneyer("open", "--print", "--data", node.config.data).stdout == f"{node.url}/\n"


def test_no_code_is_made_without_the_folder_of_the_node(tmp_path: Path) -> None:
    with own_node(tmp_path / "node") as node:
        assert "token" in refusal(moneyer("open", "--print", "--node", node.url, cwd=tmp_path))


def test_a_node_that_does_not_run_is_named(tmp_path: Path) -> None:
    with own_node(tmp_path / "node") as node:
        pass
    assert "does not run" in refusal(moneyer("open", "--data", node.config.data))
