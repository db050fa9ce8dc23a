"""Shows that every runtime dependency, and what it depends on, installs from a wheel wherever Moneyer is meant to run.

For each pair of Python and system, pip is asked for the pinned versions with `--only-binary=:all:` and that system's
tags, without installing anything. pip judges environment markers by the machine it runs on, so the walk from
`pyproject.toml` through each wheel's own requirements is made here, with the markers of the target.

    make wheels                                     all targets
    .venv/bin/python tools/check_wheels.py 3.14     one Python
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


class System(NamedTuple):
    """A system to install on: what its `platform` module says, and the wheel tags that pip takes there."""

    title: str
    platform_system: str
    platform_machine: str
    tags: tuple[str, ...]


def manylinux(machine: str) -> tuple[str, ...]:
    """glibc 2.28 (2018) is the oldest asked for: Debian 10, RHEL 8."""
    return tuple(f"{name}_{machine}" for name in ("manylinux_2_28", "manylinux_2_17", "manylinux2014"))


SYSTEMS = (
    System("Linux x86-64", "Linux", "x86_64", manylinux("x86_64")),
    System("Linux aarch64", "Linux", "aarch64", manylinux("aarch64")),
    System("macOS 12 arm64", "Darwin", "arm64", ("macosx_12_0_arm64", "macosx_11_0_arm64")),
    System("macOS 11 x86-64", "Darwin", "x86_64", ("macosx_11_0_x86_64",)),
)


def environment(python: str, system: System) -> dict[str, str]:
    """What environment markers see on the target."""
    return {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": system.platform_system.lower(),
        "platform_system": system.platform_system,
        "platform_machine": system.platform_machine,
    }


def pins(python: str, system: System) -> dict[str, str]:
    """`name==version` of the lines of constraints.txt that hold on the target, by canonical name."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines())
    rows = [Requirement(line) for line in lines if line]
    target = environment(python, system)
    return {
        canonicalize_name(row.name): f"{row.name}{row.specifier}"
        for row in rows
        if row.marker is None or row.marker.evaluate(target)
    }


def wanted(requirements: list[str], python: str, system: System, extras: frozenset[str]) -> dict[str, frozenset[str]]:
    """The requirements that hold on the target, as canonical name -> extras asked of it."""
    target = environment(python, system)
    found: dict[str, frozenset[str]] = {}
    for text in requirements:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**target, "extra": extra}) for extra in extras | {""}):
            name = canonicalize_name(requirement.name)
            found[name] = found.get(name, frozenset()) | frozenset(requirement.extras)
    return found


def wheels(pinned: list[str], python: str, system: System) -> dict[str, list[str]]:
    """The wheels pip would install: name -> what it requires. RuntimeError in pip's words if one is missing."""
    with tempfile.TemporaryDirectory() as target:
        report = Path(target, "report.json")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--dry-run"]
        command += ["--ignore-installed", "--no-deps", "--only-binary=:all:", "--target", target]
        command += ["--implementation", "cp", "--python-version", python, "--report", str(report)]
        for tag in system.tags:
            command += ["--platform", tag]
        done = subprocess.run([*command, *pinned], capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise RuntimeError(errors[-1] if errors else done.stderr)
        rows = [row["metadata"] for row in json.loads(report.read_text())["install"]]
    return {canonicalize_name(row["name"]): row.get("requires_dist", []) for row in rows}


def check(python: str, system: System) -> int:
    """The number of distributions that install from wheels on the target; RuntimeError names what doesn't."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = pins(python, system)
    requires: dict[str, list[str]] = {}
    asked: dict[str, frozenset[str]] = {}
    todo = wanted(project["dependencies"], python, system, frozenset())
    while todo:
        unpinned = [name for name in todo if name not in pinned]
        if unpinned:
            raise RuntimeError(f"not in constraints.txt: {', '.join(unpinned)}")
        new = [pinned[name] for name in todo if name not in requires]
        requires |= wheels(new, python, system) if new else {}
        asked |= {name: asked.get(name, frozenset()) | extras for name, extras in todo.items()}
        following: dict[str, frozenset[str]] = {}
        for name in todo:
            for child, extras in wanted(requires[name], python, system, asked[name]).items():
                if child not in asked or not extras <= asked[child]:
                    following[child] = following.get(child, frozenset()) | extras
        todo = following
    return len(requires)


def main() -> int:
    pythons = sys.argv[1:] or list(PYTHONS)
    failed = 0
    for python in pythons:
        for system in SYSTEMS:
            try:
                answer = f"{check(python, system)} wheels"
            except RuntimeError as error:
                failed += 1
                answer = f"FAILED\n{error}"
            print(f"Python {python}  {system.title:<16} {answer}", flush=True)
    print("Every dependency installs from wheels." if not failed else f"{failed} of the targets lack a wheel.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
