"""How far a command is, on a terminal's stderr; nothing where that is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ....store.copying.copy_chain import Progress


@contextmanager
def bar(unit: str = "") -> Iterator[Progress]:
    """A line that says what is done now, how much of it, how fast, and how long it takes yet."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}{{task.fields[rate]}}"),
        TimeElapsedColumn(),
    )
    # On stderr, and only on a terminal: stdout has the result alone.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=None, rate="")
        doing = ""

        def tell(what: str, done: int, total: int) -> None:
            nonlocal doing
            if what != doing:
                shown.reset(task, description=what, total=total or None, rate="")
                doing = what
            speed = shown.tasks[0].speed
            rate = f"{speed:,.0f}/s" if total and speed else ""
            shown.update(task, completed=done, total=total or None, rate=rate)

        yield tell
