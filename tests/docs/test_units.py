"""The units for systemd: systemd reads them, finds them closed, and they start what there is to start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.pages import name_of, page, section
from tests.kit.missing import missing

UNITS = sorted((REPOSITORY / "docs" / "examples" / "systemd").glob("*.service"))
THE_COMMAND = "/opt/moneyer/bin/moneyer"
"""Where the units have it."""
MOST_EXPOSED = 20
"""In tenths of what `systemd-analyze security` calls exposure; it says "ok" up to 50, and 96 of a unit without care."""


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`systemd-analyze`. Skips the test where there is none; fails it when MONEYER_REQUIRE_SYSTEMD=1."""
    path = shutil.which("systemd-analyze")
    if path is None:
        why = "there is no systemd-analyze for this test; on Debian: apt-get install --no-install-recommends systemd"
        missing(why, os.environ.get("MONEYER_REQUIRE_SYSTEMD"))
    return subprocess.run(
        [path, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_LOG_LEVEL": "info"},
    )


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    """What systemd says of a unit; of others, which it may want, nothing."""
    return analyze("verify", "--man=no", "--recursive-errors=no", unit)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """A folder with all of them, which start the command of this environment."""
    here = Path(sys.executable).with_name("moneyer")
    for unit in UNITS:
        (tmp_path / unit.name).write_text(unit.read_text("utf-8").replace(THE_COMMAND, str(here)), "utf-8")
    return tmp_path


def test_there_is_a_unit_for_each_kind_of_process() -> None:
    assert [unit.name for unit in UNITS] == [f"moneyer-{kind}@.service" for kind in ("node", "stratum", "worker")]


@pytest.mark.parametrize("name", [unit.name for unit in UNITS])
def test_systemd_has_nothing_to_say_against_a_unit(name: str, units: Path) -> None:
    done = verify(units / name)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("old", "new"), [("RestartSec=", "RestrtSec="), ("ExecStart=/", "ExecStart=/nowhere/")])
def test_systemd_would_say_what_is_wrong(old: str, new: str, units: Path) -> None:
    unit = units / "moneyer-node@.service"
    text = unit.read_text("utf-8")
    assert text.count(old) == 1
    unit.write_text(text.replace(old, new), "utf-8")
    done = verify(unit)
    assert done.returncode != 0
    assert new.strip("=/").split("=/")[-1] in done.stderr


@pytest.mark.parametrize("name", [unit.name for unit in UNITS])
def test_a_unit_lets_its_process_do_little(name: str, units: Path) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", units / name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_a_unit_starts_a_command_with_options_that_it_has(unit: Path) -> None:
    text = unit.read_text("utf-8")
    (start,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    command, kind, *words = start.split()
    assert command == THE_COMMAND
    assert unit.name == f"moneyer-{kind}@.service"
    options = set(re.findall(r"^\| `(--[\w-]+)`", section(page("docs/cli.md"), f"### moneyer {kind}"), re.MULTILINE))
    assert {word for word in words if word.startswith("-")} <= options
    known = page("docs/cli.md") + page("docs/settings.md")
    named = set(re.findall(r"\bMONEYER_\w+", text))
    assert named
    assert {name for name in named if f"`{name}`" not in known} == set()


@pytest.mark.parametrize("unit", UNITS, ids=name_of)
def test_no_secret_stands_in_a_unit_or_on_a_command_line(unit: Path) -> None:
    text = unit.read_text("utf-8")
    assert "EnvironmentFile=-/etc/moneyer/%i.env" in text
    assert not re.search(r"postgres(ql)?://|--database|password=", text)
