"""A process that is a node as far as a worker can see: it holds its locks until it is killed or its stdin closes."""

import sys
from pathlib import Path

from moneyer.node.config import Config
from moneyer.node.system.locks import hold

if __name__ == "__main__":
    config = Config(data=Path(sys.argv[1]))
    locks = [hold(config.node_lock), hold(config.checked_lock)]
    print("held", flush=True)
    sys.stdin.read()
