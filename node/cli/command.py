"""How `moneyer` has to be typed in the next terminal, where it need not be on the PATH (`make run`)."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

_ADVISED = re.compile(r"(`|^[\w ]*:? {2,})moneyer(?= [a-z\[-])", re.MULTILINE)
"""In backticks, and where a line gives nothing but a command (`Next:  moneyer up`)."""


@cache
def moneyer() -> str:
    """The words that start this very installation: `moneyer` where the shell finds it, else its path."""
    script = Path(sys.executable).parent / "moneyer"
    if not script.exists():
        return f"{shlex.quote(sys.executable)} -P -m moneyer"
    found = shutil.which("moneyer")
    if found is not None and Path(found).resolve() == script.resolve():
        return "moneyer"
    try:
        return shlex.quote(str(script.relative_to(Path.cwd())))
    except (ValueError, OSError):
        return shlex.quote(str(script))


def as_typed(sentence: str) -> str:
    """Text whose advice (`` `moneyer …` ``, or a line of its own) works when it is typed in another terminal."""
    return _ADVISED.sub(lambda found: found[1] + moneyer(), sentence)
