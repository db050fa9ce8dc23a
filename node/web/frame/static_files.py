"""The files that pages fetch: style, scripts, pictures. Their address names the content of all of them together.

So a browser keeps them for good, and modules import each other by relative addresses, which then are of one version.
"""

from __future__ import annotations

from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

from ...api.http.errors import NotFound
from ...api.parts.answers import Rendered

FOLDER: Final = Path(__file__).parent.parent / "static"
PREFIX: Final = "/static"
TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
"""Only files of these kinds are served."""
_DIGITS: Final = 16


class StaticFiles:
    """The files below a folder, as they are when the first of them is asked for."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    @cached_property
    def _files(self) -> dict[str, Path]:
        found = (path for path in sorted(self._folder.rglob("*")) if path.suffix in TYPES and path.is_file())
        return {path.relative_to(self._folder).as_posix(): path for path in found}

    @cached_property
    def version(self) -> str:
        """Hex digits that stand for the names and the content of all files."""
        digest = sha256()
        for name, path in self._files.items():
            digest.update(name.encode() + b"\0" + sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:_DIGITS]

    def url(self, name: str) -> str:
        """The address of a file. Raises KeyError for one that is not there: a mistake in a template."""
        if name not in self._files:
            raise KeyError(f"there is no static file {name}")
        return f"{PREFIX}/{self.version}/{name}"

    def get(self, version: str, name: str) -> Rendered:
        """A file. Raises NotFound: for another version too, whose files these are not."""
        path = self._files.get(name)
        if path is None or version != self.version:
            raise NotFound("there is no such file: load the page again, it names the files as they are now")
        return Rendered(path.read_bytes(), TYPES[path.suffix], for_ever=True)
