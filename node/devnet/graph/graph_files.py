"""Opens the file of a graph, within bounds, and picks its reader by the name's ending. Nothing in it is run."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ...system.text import shown
from ...system.words import joined, nearest, of_system
from .dot_graphs import read_dot
from .graph import Place
from .named_shapes import KINDS
from .raw_graph import RawGraph
from .text_graphs import read_edge_list, read_json
from .xml_graphs import read_gexf, read_graphml

MAX_BYTES: Final = 8 << 20
"""The 200,000 edges of the largest graph have some 40 bytes each."""

_READERS: Final[Mapping[str, Callable[[str, Place], RawGraph]]] = {
    ".graphml": read_graphml,
    ".gexf": read_gexf,
    ".json": read_json,
    ".dot": read_dot,
    ".gv": read_dot,
    ".txt": read_edge_list,
    ".edges": read_edge_list,
    ".edgelist": read_edge_list,
}


def read(path: Path) -> RawGraph:
    """What stands in the file. Raises BadGraph naming it."""
    place = Place(shown(path, 200))
    reader = _READERS.get(path.suffix.lower())
    content = _content(path, place)
    if reader is None:
        near = nearest(path.suffix.lower(), _READERS) if path.suffix else None
        raise place.refuse(
            f"what kind of graph is it? Its name ends with none of {joined(_READERS)}"
            + (f"; did you mean {near}?" if near else "")
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise place.at(line).refuse("it is not UTF-8 text: save it as such, or is it another file?") from None
    return reader(text, place)


def _content(path: Path, place: Place) -> bytes:
    try:
        # A FIFO that nobody writes must not hold us up, and a terminal not become ours.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        near = nearest(path.name, KINDS)
        example = KINDS[near].example if near else "ring:6"
        raise place.refuse(f"there is no such file. A shape is named with its size: {example}") from None
    except ValueError:  # a null character
        raise place.refuse("that is no file's name") from None
    except OSError as error:
        raise place.refuse(of_system(OSError(error.errno, error.strerror))) from None
    try:
        found = os.fstat(handle)
        if stat.S_ISDIR(found.st_mode):
            raise place.refuse("it is a folder: name the file in it")
        if not stat.S_ISREG(found.st_mode):
            raise place.refuse("it is no ordinary file: a graph is read from a file on a disk")
        with open(handle, "rb", closefd=False) as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise place.refuse(of_system(OSError(error.errno, error.strerror))) from None
    finally:
        os.close(handle)
    if len(content) > MAX_BYTES:
        raise place.refuse(f"it has more than {MAX_BYTES >> 20} MiB, and no graph that can be run is so large")
    if not content.strip():
        raise place.refuse("it is empty")
    return content
