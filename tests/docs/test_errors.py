"""docs/errors.md has every code that an error can have and no other, with the HTTP statuses that it can have."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

from moneyer import node, worker
from moneyer.node.api.http.errors import HttpError, answer_of, status_of
from moneyer.node.core.errors import MoneyerError
from tests.docs.pages import in_backticks, page, rows, section

TABLE = {in_backticks(cells[0])[0]: cells[1] for cells in rows(page("docs/errors.md"))}
INTERNAL = answer_of(ValueError("unforeseen"))[1]


def _errors() -> Iterator[type[MoneyerError]]:
    """Every class of error of the project."""
    for package in (node, worker):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    waiting: list[type[MoneyerError]] = [MoneyerError]
    while waiting:
        found = waiting.pop()
        if found.__module__.startswith("moneyer."):
            yield found
            waiting.extend(found.__subclasses__())


def test_every_code_has_its_row_and_every_row_its_code() -> None:
    assert sorted({*TABLE}) == sorted({error.code for error in _errors()} | {INTERNAL})


def test_the_statuses_are_those_that_the_code_gives() -> None:
    local = {
        in_backticks(cells[0])[0]
        for cells in rows(section(page("docs/errors.md"), "## Only in Python and on the command line"))
    }
    for error in _errors():
        shown = TABLE[error.code]
        if error.code in local:
            assert shown == "–", error
        elif error.__module__.startswith("moneyer.node.api") or not _is_local(error):
            status = error.status if issubclass(error, HttpError) else status_of(error.__new__(error))
            assert str(status) in re.findall(r"\d+", shown), (error, status)


def _is_local(error: type[MoneyerError]) -> bool:
    """Errors of the command line, the client and the worker, which no HTTP answer has."""
    return error.__module__.startswith(("moneyer.node.cli", "moneyer.node.client", "moneyer.worker"))
