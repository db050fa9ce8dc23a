"""Files from npm that lie in the repository as they were built: checks them, and fetches newer ones.

    python -m tools.vendor --check                  compares every file with the lock; needs no network
    python -m tools.vendor --refresh [PACKAGE …]    fetches the newest versions that the lock allows, by `npm pack`

The lock, `node/web/static/vendor/vendor.json`, says for each package which versions are allowed (`range`), which one is
here, its licence, the hash of its archive (`integrity`, as npm writes it) and its files: the path here, the path in the
package and the SHA-256. A new package is written into it by hand with empty `version`, `licence`, `integrity` and
`sha256`; `--refresh PACKAGE` fills them in. Which registry is asked is the setting of the environment's npm.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from hashlib import sha256, sha512
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

REPOSITORY = Path(__file__).resolve().parent.parent
FOLDER = REPOSITORY / "node" / "web" / "static" / "vendor"
LOCK = "vendor.json"


class VendorError(Exception):
    """A package could not be fetched, or is not the one that the lock names. The message says what to do."""


class File(Struct, frozen=True):
    source: str
    """The path in the package."""
    sha256: str


class Package(Struct, frozen=True):
    range: str
    """The versions that a refresh may take, as npm writes ranges: `^4.0.0`."""
    version: str
    licence: str
    """The package's own `license`: an SPDX identifier."""
    integrity: str
    """`sha512-` and the base64 of the archive's SHA-512."""
    files: dict[str, File]
    """By the path here, relative to the lock."""


Lock = dict[str, Package]


def read_lock(folder: Path) -> Lock:
    return msgspec.json.decode((folder / LOCK).read_bytes(), type=Lock)


def write_lock(folder: Path, lock: Lock) -> None:
    text = json.dumps(msgspec.to_builtins(lock), indent=2)
    (folder / LOCK).write_text(text + "\n", "utf-8")


def problems(folder: Path) -> list[str]:
    """What is wrong in a folder, a sentence each: files that are missing, changed, or in no package."""
    wanted = {path: file for package in read_lock(folder).values() for path, file in package.files.items()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    found = [f"{folder / path} is missing" for path in sorted(wanted.keys() - there)]
    found += [f"{folder / path} is in no package of {LOCK}" for path in sorted(there - wanted.keys() - {LOCK})]
    for path in sorted(wanted.keys() & there):
        if sha256((folder / path).read_bytes()).hexdigest() != wanted[path].sha256:
            found.append(f"{folder / path} is not as {LOCK} says")
    return found


def refresh(folder: Path, name: str) -> str:
    """Fetches the newest allowed version of a package, and writes its files and its lock. Returns what changed."""
    lock = read_lock(folder)
    old = lock[name]
    with TemporaryDirectory() as temporary:
        archive = _packed(f"{name}@{old.range}", Path(temporary))
        integrity = "sha512-" + base64.b64encode(sha512(archive.read_bytes()).digest()).decode()
        with tarfile.open(archive) as content:
            about = json.loads(_member(content, "package.json"))
            if about["version"] == old.version and integrity != old.integrity:
                raise VendorError(f"{name} {old.version} is not the archive that {LOCK} names: find out why first")
            bodies = {path: _member(content, file.source) for path, file in old.files.items()}
    files = {path: File(old.files[path].source, sha256(body).hexdigest()) for path, body in bodies.items()}
    for path, body in bodies.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    lock[name] = Package(old.range, about["version"], about["license"], integrity, files)
    write_lock(folder, lock)
    return f"{name} {old.version or '(new)'} → {about['version']}" if lock[name] != old else f"{name} {old.version}"


def _packed(wanted: str, into: Path) -> Path:
    """The archive of a package, by `npm pack`, which runs none of the package's scripts."""
    command = ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(into), wanted]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=into, check=False)
    except FileNotFoundError:
        raise VendorError("npm is not installed: on Debian or Ubuntu, apt install npm") from None
    archives = list(into.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        raise VendorError(f"npm pack {wanted} failed: {done.stderr.strip() or done.stdout.strip()}")
    return archives[0]


def _member(content: tarfile.TarFile, path: str) -> bytes:
    """A file of a package; npm puts them all into a folder `package`."""
    try:
        file = content.extractfile(f"package/{path}")
    except KeyError:
        file = None
    if file is None:
        raise VendorError(f"the package has no {path} any more: change the lock's `source`")
    return file.read()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.vendor", description="Files from npm, as they were built.")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare every file with the lock")
    action.add_argument("--refresh", nargs="*", metavar="PACKAGE", help="fetch the newest allowed versions (of all)")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.refresh is not None:
            known = read_lock(FOLDER)
            if unknown := sorted(set(chosen.refresh) - known.keys()):
                raise VendorError(f"{LOCK} has no {', '.join(unknown)}; it has {', '.join(known)}")
            for name in chosen.refresh or known:
                print(refresh(FOLDER, name))
        found = problems(FOLDER)
    except VendorError as error:
        found = [str(error)]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
