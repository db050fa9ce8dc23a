"""docs/settings.md and docs/cli.md have every setting and every variable of the environment."""

from __future__ import annotations

import re
from dataclasses import fields

from moneyer.node.config import Config
from tests.docs.pages import files, in_backticks, name_of, page, rows, section

PAGE = page("docs/settings.md")
_VARIABLE = re.compile(r"\bMONEYER_[A-Z][A-Z_]*[A-Z]\b")
_READ = re.compile(r"environ(?:\.get\(|\[)\"(MONEYER_\w+)\"|\"(MONEYER_\w+)\" in os\.environ")
"""How a test reads a variable; what else it names it sets for a command that it runs."""

_OWN = {"MONEYER_TEST_MARKS"}
"""Set by a test for a child of its own."""


def test_every_field_of_a_config_has_its_row_in_order() -> None:
    table = rows(section(PAGE, "## What a node is told at its start"))
    assert [in_backticks(cells[0])[0] for cells in table] == [field.name for field in fields(Config)]


def test_the_options_and_variables_of_the_settings_are_those_of_the_command() -> None:
    options = section(page("docs/cli.md"), "### moneyer node")
    for _, option, variable, _ in rows(section(PAGE, "## What a node is told at its start")):
        if option != "–":
            name = in_backticks(option)[0].split()[0]
            assert re.search(rf"^\| `{name}`.*{variable} \|$", options, re.MULTILINE), name


def test_every_variable_that_the_code_reads_is_documented_and_no_other() -> None:
    read: set[str] = set()
    for path in files():
        text = path.read_text("utf-8") if path.suffix == ".py" else ""
        if name_of(path).startswith("tests/"):
            read.update(name for found in _READ.findall(text) for name in found if name)
        else:
            read.update(_VARIABLE.findall(text))
    of_options = set(_VARIABLE.findall(page("docs/cli.md")))
    assert read - of_options - _OWN <= set(_VARIABLE.findall(PAGE))
    assert set(_VARIABLE.findall(PAGE)) <= read | of_options
