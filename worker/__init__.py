"""Moneyer's mining worker: `miner` turns a template into a block, `engines` search for the nonce."""

import sys
from os.path import isdir, join, samefile

# As in `node/__init__.py`, which `python -m worker` would look for in the current folder, too.
if (
    sys.argv[:1] == ["-m"]
    and isdir(sys.path[0])  # noqa: PTH112
    and samefile(sys.path[0], ".")  # noqa: PTH121
    and __file__ != join(sys.path[0], "worker", "__init__.py")  # noqa: PTH118
):
    del sys.path[0]
