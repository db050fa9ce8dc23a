"""`python -P -m moneyer.worker OPTIONS` is `moneyer worker [OPTIONS]`, where that script is not at hand.

This entry point stands above the layers, as `moneyer.__main__` does, so that the options are written once
(`node/cli/commands/run.py`). `python -m worker` in a checkout would load this package under another name.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the worker with the options of the command line. Exits with the command's status."""
    if __package__ != "moneyer.worker":
        sys.exit("the worker is a part of the package moneyer: start it with `python -m moneyer.worker`")
    from ..node.cli.main import main as moneyer

    sys.argv.insert(1, "worker")
    moneyer()


if __name__ == "__main__":
    main()
