"""The project as a stranger gets it: what is declared, documented and pinned, and a wheel that runs away from here."""

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import moneyer
from tests.conftest import REPOSITORY, vector_file

Project = dict[str, Any]


@pytest.fixture(scope="module")
def project() -> Project:
    """The [project] table of pyproject.toml."""
    table: Project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def constraints() -> list[Requirement]:
    lines = (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def documented(heading: str) -> set[str]:
    """The names in the first column of the table under a heading of docs/dependencies.md."""
    page = (REPOSITORY / "docs" / "dependencies.md").read_text("utf-8")
    section = page.split(f"## {heading}", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


def run(*command: str | Path, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def test_every_constraint_pins_one_version() -> None:
    for row in constraints():
        assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(row.specifier)), row
        assert row.url is None, row


def test_every_declared_dependency_is_pinned_to_a_version_it_allows(project: Project) -> None:
    pinned: dict[str, list[str]] = {}
    extras = project["optional-dependencies"]
    for row in constraints():
        pinned.setdefault(canonicalize_name(row.name), []).append(str(row.specifier).removeprefix("=="))
    for text in (text for listed in (project["dependencies"], *extras.values()) for text in listed):
        wanted = Requirement(text)
        versions = pinned.get(canonicalize_name(wanted.name), [])
        assert versions, f"{wanted.name} is not in constraints.txt"
        assert all(wanted.specifier.contains(version) for version in versions), (text, versions)


def test_the_documented_dependencies_are_the_declared_ones(project: Project) -> None:
    assert documented("To run") == names(project["dependencies"])
    extras = {extra: names(listed) for extra, listed in project["optional-dependencies"].items()}
    assert documented("To develop") == extras.pop("dev")
    assert documented("Extras") == set().union(*extras.values())


def test_no_packaging_file_names_a_package_index() -> None:
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run", "tools/venv.sh", "tools/check_wheels.py"):
        text = (REPOSITORY / name).read_text("utf-8")
        assert not re.search(r"https?://|--index-url|--extra-index-url|--find-links", text), name


def test_every_room_of_the_node_has_its_place_in_the_layers() -> None:
    """import-linter says nothing about a module that no contract names."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    placed = {
        name for row in contracts for layer in row.get("layers", ()) for name in re.findall(r"node\.(\w+)", layer)
    }
    rooms = {
        path.stem
        for path in (REPOSITORY / "node").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms - {"__init__", "__main__"} <= placed


def test_the_licence_is_mit(project: Project) -> None:
    text = (REPOSITORY / "LICENSE").read_text("utf-8")
    assert project["license"] == "MIT"
    assert text.startswith("MIT License\n\nCopyright (c) 2026 the Moneyer authors\n")


def test_the_changelog_knows_this_version() -> None:
    assert f"\n## {moneyer.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")


def test_the_projects_vectors_are_the_shared_ones() -> None:
    own = (REPOSITORY / "tests" / "vectors" / "moneyer.json").read_bytes()
    assert own == vector_file("moneyer.json").read_bytes()


def test_make_says_what_to_install_where_venv_is_missing(tmp_path: Path) -> None:
    """A Python such as Debian's without python3-venv: it runs, and has no ensurepip."""
    checkout = bare_checkout(tmp_path)
    python = tmp_path / "python-without-venv"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec \'{sys.executable}\' "$@"\n')
    python.chmod(0o755)
    done = run("tools/venv.sh", "run", cwd=checkout, env={**os.environ, "PYTHON": str(python)})
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_make_says_so_where_the_python_is_too_old(tmp_path: Path) -> None:
    checkout = bare_checkout(tmp_path)
    python = tmp_path / "python3.10"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    done = run("tools/venv.sh", "run", cwd=checkout, env={**os.environ, "PYTHON": str(python)})
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr


def bare_checkout(tmp_path: Path) -> Path:
    """A folder with no more of the project than the script that makes the environment."""
    checkout = tmp_path / "checkout"
    (checkout / "tools").mkdir(parents=True)
    script = checkout / "tools" / "venv.sh"
    script.write_bytes((REPOSITORY / "tools" / "venv.sh").read_bytes())
    script.chmod(0o755)
    return checkout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that this checkout makes, in a folder away from it."""
    folder = tmp_path_factory.mktemp("away")
    built = run(sys.executable, "-m", "build", "--no-isolation", "-o", folder, REPOSITORY, cwd=folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (file,) = folder.glob("moneyer-*.whl")
    return file


@pytest.mark.timeout(600)
def test_a_wheel_takes_no_name_but_moneyer(wheel: Path) -> None:
    """`node`, `worker` and `migrations` at the top level would stand in the way of other people's modules."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"moneyer", f"moneyer-{moneyer.__version__}.dist-info"}
    assert {"moneyer/node/config.py", "moneyer/worker/pool.py", "moneyer/migrations/env.py"} <= set(names)


@pytest.mark.timeout(600)
def test_a_wheel_brings_every_file_of_the_pages(wheel: Path) -> None:
    """Templates, scripts, styles, and the licences of the vendored ones."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("moneyer/node/web/")}
    files = [path for path in (REPOSITORY / "node" / "web").rglob("*") if path.is_file()]
    own = {path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts}
    assert names == {f"moneyer/{name}" for name in own} != set()


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The bin folder of an empty environment into which nothing but the wheel and its dependencies were installed."""
    folder = wheel.parent
    venv.create(folder / "venv", symlinks=True)
    binaries = folder / "venv" / "bin"
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python", "install", "--quiet")
    done = run(*pip, "--only-binary=:all:", "-c", REPOSITORY / "constraints.txt", wheel, cwd=folder)
    if done.returncode != 0 and "connection" in done.stderr.lower() and "CI" not in os.environ:
        pytest.skip("no package index is reachable to install the wheel's dependencies from")
    assert done.returncode == 0, done.stderr
    return binaries


def away(binaries: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A command of the empty environment, run in a folder of its own, with nothing that points back to the checkout."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MONEYER", "VIRTUAL_ENV"))}
    return run(binaries / command[0], *command[1:], cwd=binaries.parent, env=env)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_wheel_says_its_version(installed: Path) -> None:
    done = away(installed, "moneyer", "--version")
    assert done.returncode == 0, done.stderr
    assert moneyer.__version__ in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_wheel_shows_its_commands(installed: Path) -> None:
    done = away(installed, "moneyer", "--help")
    assert done.returncode == 0, done.stderr
    assert {"up", "node", "worker"} <= set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_installed_wheel_brings_its_migrations_and_types(installed: Path) -> None:
    """All of the three packages, and each module of them imports with the declared dependencies alone."""
    script = """
import importlib, pkgutil, pathlib
from moneyer import node, worker, migrations
for package in (node, worker):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ModuleNotFoundError as error:  # the store's own files for PostgreSQL are for the extra alone
                assert error.name == "psycopg" and module.name.startswith("moneyer.node.store."), module.name
    assert pathlib.Path(package.__file__).with_name("__init__.py").is_file(), package
folder = pathlib.Path(migrations.__file__).parent
print(folder)
print(*sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py")))
"""
    done = away(installed, "python", "-c", script)
    assert done.returncode == 0, done.stderr
    folder, files = done.stdout.splitlines()
    assert Path(folder).is_relative_to(installed.parent)
    assert "env.py" in files.split()
    own = {path.relative_to(REPOSITORY / "migrations").as_posix() for path in (REPOSITORY / "migrations").rglob("*.py")}
    assert set(files.split()) == own
