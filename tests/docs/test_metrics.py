"""docs/api.md has every metric of `GET /metrics` and no other."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.pages import files, in_backticks, name_of, page, rows, section
from tests.kit.running import running


def _named(kind: str, name: str) -> str:
    """As samples have it: a counter ends in `_total`."""
    return f"{name}_total" if kind == "counter" and not name.endswith("_total") else name


def _of_stratum() -> set[str]:
    """Those that a node has only while a Stratum server runs, from the source."""
    source = "".join(path.read_text("utf-8") for path in files() if name_of(path).startswith("node/api/"))
    found = re.findall(r"_(gauge|counter)\(\s*\"(moneyer_stratum_\w+)\"", source)
    return {_named(kind, name) for kind, name in found}


def test_every_metric_has_its_row_and_every_row_its_metric(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        text = node.get("/metrics").body.decode()
    found = {_named(kind, name) for name, kind in re.findall(r"^# TYPE (moneyer_\w+) (\w+)$", text, re.MULTILINE)}
    table = rows(section(page("docs/api.md"), "## `GET /metrics`"))
    documented = {word.partition("{")[0] for cells in table for word in in_backticks(cells[0])} - {"process_…"}
    assert documented == {name for name in found if not name.endswith("_created")} | _of_stratum()
