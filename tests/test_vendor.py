"""The files from npm that the pages use: they are what their lock says, and a refresh takes no other archive."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import in_backticks, page, rows, section
from tools import vendor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the vendored files, to damage."""
    return Path(shutil.copytree(vendor.FOLDER, tmp_path / "vendor"))


def test_every_vendored_file_is_the_one_of_the_lock() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.vendor", "--check"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_a_missing_and_a_strange_file_are_each_named(folder: Path) -> None:
    with (folder / "htmx" / "htmx.min.js").open("ab") as file:
        file.write(b"\n")
    (folder / "uplot" / "LICENSE").unlink()
    (folder / "strange.js").write_bytes(b"1")
    assert vendor.problems(folder) == [
        f"{folder}/uplot/LICENSE is missing",
        f"{folder}/strange.js is in no package of vendor.json",
        f"{folder}/htmx/htmx.min.js is not as vendor.json says",
    ]


def test_every_package_has_a_version_its_licence_and_the_text_of_it() -> None:
    for name, package in vendor.read_lock(vendor.FOLDER).items():
        assert all((package.version, package.licence, package.integrity.startswith("sha512-"))), name
        assert any(path.endswith("/LICENSE") for path in package.files), name


def test_no_vendored_script_asks_for_its_map() -> None:
    """A browser's tools would ask this node for a file that is not there."""
    for path in vendor.FOLDER.rglob("*.js"):
        assert b"sourceMappingURL" not in path.read_bytes(), path


def test_each_package_has_a_row_in_the_page_of_dependencies() -> None:
    table = rows(section(page("docs/dependencies.md"), "## In the pages, from npm"))
    assert {in_backticks(cells[0])[0]: cells[1] for cells in table} == {
        name: package.licence for name, package in vendor.read_lock(vendor.FOLDER).items()
    }


def npm_that_packs(folder: Path, files: dict[str, str]) -> str:
    """A folder for PATH whose `npm pack` gives an archive of these files."""
    archive = folder / "made.tgz"
    with tarfile.open(archive, "w:gz") as content:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text.encode())
            content.addfile(entry, io.BytesIO(text.encode()))
    npm = folder / "npm"
    npm.write_text(f'#!/bin/sh\ncp "{archive}" made-1.tgz\n')
    npm.chmod(0o755)
    return os.pathsep.join([str(folder), os.environ["PATH"]])


def packaged(version: str) -> dict[str, str]:
    about = json.dumps({"version": version, "license": "0BSD"})
    return {"package.json": about, "dist/htmx.min.js": "//", "LICENSE": "Do what you like.\n"}


def test_a_refresh_writes_the_newer_files_and_their_hashes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", npm_that_packs(tmp_path, packaged("4.9.0")))
    before = vendor.read_lock(folder)["htmx.org"].version
    assert vendor.refresh(folder, "htmx.org") == f"htmx.org {before} → 4.9.0"
    assert (folder / "htmx" / "htmx.min.js").read_text("utf-8") == "//"
    assert vendor.problems(folder) == []


def test_a_refresh_refuses_another_archive_of_the_same_version(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", npm_that_packs(tmp_path, packaged(vendor.read_lock(folder)["htmx.org"].version)))
    with pytest.raises(vendor.VendorError, match="not the archive that"):
        vendor.refresh(folder, "htmx.org")
    assert vendor.problems(folder) == []


def test_a_refresh_says_so_where_a_file_has_left_the_package(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = packaged("4.9.0")
    del files["dist/htmx.min.js"]
    monkeypatch.setenv("PATH", npm_that_packs(tmp_path, files))
    with pytest.raises(vendor.VendorError, match=r"has no dist/htmx\.min\.js any more"):
        vendor.refresh(folder, "htmx.org")
    assert vendor.problems(folder) == []
