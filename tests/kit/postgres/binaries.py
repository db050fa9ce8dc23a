"""Where PostgreSQL's programs are on this machine, and the user as whom a server runs."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from tests.kit.missing import missing

OLDEST = 14
"""Of PostgreSQL, that the node works with."""


def _missing(why: str) -> NoReturn:
    missing(why, os.environ.get("MONEYER_REQUIRE_POSTGRES"))


def need_psycopg() -> None:
    if find_spec("psycopg") is None:
        _missing("needs psycopg: pip install 'moneyer[postgresql]'")


@cache
def _folder() -> Path | None:
    """The folder that has `initdb` and `postgres`, of the newest version that is found."""
    found = [Path(path).resolve().parent for path in (shutil.which("postgres"),) if path]
    debian = Path("/usr/lib/postgresql")
    versions = [path for path in debian.glob("*/bin") if path.parent.name.isdecimal()]
    found += sorted(versions, key=lambda path: -int(path.parent.name))
    if shutil.which("pg_config"):
        said = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, timeout=20, check=False)
        found.append(Path(said.stdout.strip()))
    return next((path for path in found if all((path / name).is_file() for name in ("initdb", "postgres"))), None)


def programs() -> Path:
    """The folder of `initdb`, `postgres`, `pg_basebackup`, … . Skips the test where there is none."""
    need_psycopg()
    folder = _folder()
    if folder is None:
        _missing("needs PostgreSQL: apt-get install postgresql, or the URL of a server in MONEYER_TEST_DATABASE")
    return folder


def server_user() -> pwd.struct_passwd | None:
    """As whom a server is run where we are root, whom it refuses; else None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    _missing("needs a user who is not root: PostgreSQL does not run as root")
