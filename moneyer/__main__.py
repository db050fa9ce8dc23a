"""`python -P -m moneyer`: the command `moneyer`, where its script is not at hand."""

from .node.cli.main import main

if __name__ == "__main__":
    main()
