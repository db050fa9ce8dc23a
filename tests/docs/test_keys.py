"""docs/keys.md has every JSON key of the API and no other, each with a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from moneyer.node.api.shapes import v1
from tests.docs.pages import in_backticks, page, rows
from tests.kit.running import running

EVENTS = (v1.ReorgEvent, v1.ResetEvent)
"""Of `/v1/events`; the other events have the shapes of answers."""


def _keys(schema: Any) -> Iterator[str]:
    """Every property that a schema names, at any depth."""
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for name, each in schema.items():
            yield from (key for value in each.values() for key in _keys(value)) if name == "properties" else _keys(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _keys(each)


def test_every_key_of_the_api_has_its_row_and_every_row_its_key(tmp_path: Path) -> None:
    with running(tmp_path / "node") as node:
        described = node.get("/openapi.json").json
    keys = set(_keys(described["components"]["schemas"]))
    keys.update(
        parameter["name"]
        for path in described["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    )
    keys.update(field.encode_name for event in EVENTS for field in msgspec.structs.fields(event))
    assert sorted(keys) == [in_backticks(cells[0])[0] for cells in rows(page("docs/keys.md"))]


def test_every_row_is_a_sentence() -> None:
    for key, meaning in rows(page("docs/keys.md")):
        assert meaning[0].isupper() or meaning[0] in "`1/", key
        assert meaning.endswith("."), key
