"""Moneyer's node: consensus (`core`), storage, chain, mempool, peers, API, wallet and command line."""

import sys
from os.path import isdir, join, samefile

__version__ = "0.1.0"

# `python -m node.cli.main` looks for modules in the current folder first, and somebody else's `json.py` may lie there.
# That folder stays only where this package lies in it. What Python's own `-m` imports from there before this
# (`contextlib` and what that needs), and a `node.py`, only `python -P -m` keeps away, or the script `moneyer`.
if (
    sys.argv[:1] == ["-m"]
    and isdir(sys.path[0])  # noqa: PTH112
    and samefile(sys.path[0], ".")  # noqa: PTH121
    and __file__ != join(sys.path[0], "node", "__init__.py")  # noqa: PTH118
):
    del sys.path[0]
