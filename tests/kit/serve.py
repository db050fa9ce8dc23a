"""The module that `running.launch` runs: `python -m tests.kit.serve CONFIG` serves a node, as `moneyer node` does.

CONFIG is a `Config` as JSON: every field, so that a test starts exactly the node that it describes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from moneyer.node.config import Config

_PATHS = ("data", "passphrase_file")


def as_json(config: Config) -> str:
    return json.dumps(asdict(config), default=str)


def from_json(text: str) -> Config:
    fields = json.loads(text)
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
        elif name in _PATHS and value is not None:
            fields[name] = Path(value)
    return Config(**fields)


def main() -> int:
    """Serve until told to stop. 1, with a sentence on stderr, where the node refuses to start."""
    from moneyer.node.server import NodeRefused, serve  # not where a test only writes a Config

    try:
        serve(from_json(sys.argv[1]))
    except NodeRefused as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
