"""The dashboard for Grafana: each of its queries finds data in a Prometheus that looks at nodes as the example says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from moneyer.node.core import codec
from tests.api.test_mining import worker
from tests.docs.pages import page
from tests.docs.prometheus import Prometheus, find_prometheus, prometheus
from tests.kit.callers.events import listening
from tests.kit.mining.stratum import Stratum
from tests.kit.running import RunningNode, running
from tests.kit.waiting import every, wait_until

DASHBOARD = json.loads(page("docs/examples/grafana-dashboard.json"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [(each["title"], target["expr"]) for each in PANELS for target in each.get("targets", ())]
VARIABLES: dict[str, dict[str, Any]] = {each["name"]: each for each in DASHBOARD["templating"]["list"]}

INTERVAL = "10s"
"""Put in for `$__rate_interval`, for which Grafana takes at least four times what lies between two looks."""
BLOCK_SECONDS = 2
"""Between two blocks, so that each interval has something to count, also where some looks fail."""


def settings(*nodes: RunningNode) -> str:
    """The example's settings, with these nodes in the place of its target, and looks as frequent as a test wants."""
    text = page("docs/examples/prometheus.yml")
    for old, new in (
        ("- 127.0.0.1:5001\n", "".join(f"- 127.0.0.1:{node.port}\n          " for node in nodes).rstrip(" ")),
        ("scrape_interval: 15s", "scrape_interval: 500ms"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def busy_node(folder: Path) -> Iterator[tuple[RunningNode, RunningNode]]:
    """A node with all that the dashboard shows: a worker, a Stratum server, a listener, a reorg; and its peer."""
    with running(folder / "node") as node, running(folder / "peer") as peer, worker(node), listening(node.port):
        stratum = Stratum(node.config.data)
        try:
            stratum.wait_ready()
            node.post("/v1/peers", {"url": peer.url})
            node.extend()
            node.chain = node.chain.branch(0, "other")
            for block in node.chain.grow(2):
                assert node.take_block(codec.encode_block(block)) in ("side_branch", "reorganized")
            with every(BLOCK_SECONDS, node.extend):
                yield node, peer
        finally:
            stratum.kill()


def in_grafana(query: str, **chosen: list[str]) -> str:
    """A query with its variables put in as Grafana does for Prometheus: regular expressions, several as `(a|b)`."""
    for name, values in chosen.items():
        shown = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\")) for value in values]
        query = query.replace(f"${name}", shown[0] if len(shown) == 1 else f"({'|'.join(shown)})")
    return query.replace("$__rate_interval", INTERVAL)


def choices(found: Prometheus, name: str, **chosen: list[str]) -> list[str]:
    """What a variable of the dashboard lets its reader choose from."""
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["query"]["query"])
    assert asked, VARIABLES[name]
    return found.label_values(asked[2], in_grafana(asked[1], **chosen))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, list[RunningNode]]]:
    """A Prometheus, and the two nodes that it looks at."""
    find_prometheus()  # before nodes are started for nothing
    folder = tmp_path_factory.mktemp("watched")
    with busy_node(folder) as nodes, prometheus(folder / "prometheus", settings(*nodes)) as found:
        yield found, list(nodes)


def test_the_dashboard_lets_choose_among_the_nodes_of_a_coin(watched: tuple[Prometheus, list[RunningNode]]) -> None:
    found, nodes = watched
    targets = sorted(f"127.0.0.1:{node.port}" for node in nodes)
    wait_until(lambda: len(found.query("count by (instance) (moneyer_height)")) == 2, 30, "both nodes to be looked at")
    coins = choices(found, "coin")
    assert coins == [nodes[0].coin.name]
    assert sorted(choices(found, "instance", coin=coins)) == targets


@pytest.mark.parametrize(
    "query", [query for _, query in QUERIES], ids=[f"{title}: {query}" for title, query in QUERIES]
)
def test_every_query_finds_data(query: str, watched: tuple[Prometheus, list[RunningNode]]) -> None:
    found, nodes = watched
    targets = [f"127.0.0.1:{node.port}" for node in nodes]
    for chosen in (targets, targets[:1]):
        text = in_grafana(query, instance=chosen)
        assert "$" not in text
        wait_until(lambda text=text: found.query(text), 30, f"data for {text}")  # type: ignore[misc]


def test_a_query_shows_the_nodes_that_were_chosen_and_no_others(
    watched: tuple[Prometheus, list[RunningNode]],
) -> None:
    found, nodes = watched
    targets = [f"127.0.0.1:{node.port}" for node in nodes]
    query = next(query for title, query in QUERIES if title == "Height" and not query.startswith("max"))
    wait_until(lambda: len(found.query(in_grafana(query, instance=targets))) == 2, 30, "both nodes")
    # Prometheus shows nothing of a node that did not answer its last look in time.
    wait_until(lambda: len(found.query(in_grafana(query, instance=targets[:1]))) == 1, 30, "the one that was chosen")
    assert found.query(in_grafana(query, instance=["127.0.0.1:1"])) == []


def test_every_query_is_of_the_nodes_that_were_chosen() -> None:
    for title, query in QUERIES:
        selected = re.findall(r"\b(?:moneyer|process)_\w+(\{[^}]*\})?|\bup(\{[^}]*\})?", query)
        assert selected, title
        assert all('instance=~"$instance"' in "".join(each) for each in selected), query


def test_every_panel_asks_the_data_source_that_was_chosen() -> None:
    assert VARIABLES["datasource"] == {**VARIABLES["datasource"], "type": "datasource", "query": "prometheus"}
    wanted = {"type": "prometheus", "uid": "${datasource}"}
    asking = [each for each in (*PANELS, *VARIABLES.values()) if each["type"] not in ("row", "datasource")]
    assert [each for each in asking if each["datasource"] != wanted] == []
    assert DASHBOARD["id"] is None  # Grafana gives it its own when it is imported


def test_panels_have_places_of_their_own() -> None:
    assert len({each["id"] for each in PANELS}) == len(PANELS)
    covered: set[tuple[int, int]] = set()
    for each in PANELS:
        at = each["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & covered, each["title"]
        assert at["x"] + at["w"] <= 24, each["title"]
        covered |= cells
