"""`python -m node` in a checkout: says how a node is started."""

import sys

if __name__ == "__main__":
    sys.exit("a node is started by `moneyer node --data DIR`, or `python -P -m moneyer node --data DIR`")
