"""What Prometheus reads is in its format, true, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from moneyer.node.core import codec
from tests.api.test_mining import worker
from tests.kit.callers.events import listening
from tests.kit.running import ALICE, BOB, RunningNode, running
from tests.kit.system.ports import free_port
from tests.kit.waiting import wait_until

pytestmark = pytest.mark.both_databases

Labels = tuple[tuple[str, str], ...]


def samples(node: RunningNode) -> dict[tuple[str, Labels], float]:
    """Every sample: (name, sorted labels) -> value."""
    answer = node.get("/metrics")
    assert answer.status == 200
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        assert family.documentation, family.name
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(node: RunningNode, name: str, **labels: str) -> float:
    return samples(node)[name, tuple(sorted(labels.items()))]


def test_the_figures_are_those_of_the_chain_and_the_pool(fresh: RunningNode) -> None:
    fresh.extend()
    fresh.extend()
    raw = codec.encode_transaction(fresh.chain.transfer(ALICE, BOB, 5, fee=1))
    fresh.post("/p2p/transactions", raw, {"Content-Type": "application/octet-stream"})
    status = fresh.get("/v1/status").json
    assert value(fresh, "moneyer_height") == 2
    assert value(fresh, "moneyer_work") == int(status["work"], 16)
    assert value(fresh, "moneyer_difficulty") == status["difficulty"]
    assert value(fresh, "moneyer_tip_timestamp_seconds") == fresh.chain.tip.header.timestamp
    assert value(fresh, "moneyer_mempool_transfers") == 1
    assert value(fresh, "moneyer_mempool_bytes") == len(raw)
    assert value(fresh, "moneyer_syncing") == 0
    assert value(fresh, "moneyer_commits_total") >= 3
    assert value(fresh, "moneyer_commit_seconds_total") > 0
    assert value(fresh, "moneyer_writes_failed_total") == 0
    name, chain_id = fresh.coin.name, status["chain_id"]
    assert value(fresh, "moneyer_info", version=status["version"], coin=name, chain_id=chain_id) == 1


def test_places_beside_those_of_the_http_server_are_counted_too(fresh: RunningNode) -> None:
    fresh.chain.grow(2)
    assert fresh.push(codec.encode_block(fresh.chain.tip)).json["status"] == "orphan"
    assert value(fresh, "moneyer_places_held", kind="orphans") == 1
    assert value(fresh, "moneyer_places_held_by_one", kind="orphans") == 1
    assert value(fresh, "moneyer_places_held", kind="inbound_links") == 0


def test_a_reorg_is_counted_with_its_depth(fresh: RunningNode) -> None:
    fresh.extend()
    fresh.extend()
    wait_until(lambda: value(fresh, "moneyer_blocks_connected_total") == 2, 10, "the blocks to be counted")
    other = fresh.chain.branch(0, "other")
    for block in other.grow(3):
        fresh.push(codec.encode_block(block))
    wait_until(lambda: value(fresh, "moneyer_reorg_depth_count") == 1, 10, "the reorg to be counted")
    assert value(fresh, "moneyer_reorg_depth_sum") == 2
    assert value(fresh, "moneyer_blocks_connected_total") == 5


def test_the_worker_is_seen(fresh: RunningNode) -> None:
    assert value(fresh, "moneyer_worker_alive") == 0
    with worker(fresh):
        assert value(fresh, "moneyer_worker_alive") == 1
        assert value(fresh, "moneyer_worker_hashrate") >= 0


def test_peers_are_counted_by_state(fresh: RunningNode, tmp_path: Path) -> None:
    assert value(fresh, "moneyer_peers", state="connected") == 0
    with running(tmp_path / "other") as other:
        fresh.post("/v1/peers", {"url": other.url})
        assert value(fresh, "moneyer_peers", state="connected") == 1


def test_requests_are_counted_by_endpoint_and_never_by_what_was_asked(fresh: RunningNode) -> None:
    before = len(samples(fresh))
    fresh.get("/v1/blocks/0")
    fresh.get("/v1/blocks/77")
    for number in range(50):
        fresh.get(f"/v1/blocks/{number + 100}")
        fresh.get(f"/nowhere/{number}")
        fresh.call(f"METHOD{number}", "/v1/status")
    count = "moneyer_request_seconds_count"
    assert value(fresh, count, method="GET", endpoint="/v1/blocks/{block}", status="2xx") == 1
    assert value(fresh, count, method="GET", endpoint="/v1/blocks/{block}", status="4xx") == 51
    assert value(fresh, count, method="GET", endpoint="none", status="4xx") == 50
    assert value(fresh, count, method="other", endpoint="none", status="4xx") == 50
    known = {*fresh.get("/openapi.json").json["paths"], "none"}
    assert {dict(labels)["endpoint"] for name, labels in samples(fresh) if name == count} <= known
    assert len(samples(fresh)) < before + 100


def test_listeners_are_counted(fresh: RunningNode) -> None:
    with listening(fresh.port):
        assert value(fresh, "moneyer_event_clients") == 1
        assert value(fresh, "moneyer_requests_in_flight") == 2
    assert value(fresh, "moneyer_event_clients_dropped_total") == 0


def test_the_type_is_one_that_every_prometheus_reads(node: RunningNode) -> None:
    answer = node.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    described = node.get("/openapi.json").json["paths"]["/metrics"]["get"]["responses"]["200"]
    assert list(described["content"]) == ["text/plain"]


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_metrics_are_only_read(node: RunningNode, method: str) -> None:
    assert node.call(method, "/metrics").status == 405


def test_nothing_secret_is_in_the_figures(guarded: RunningNode) -> None:
    assert guarded.token not in guarded.get("/metrics").body.decode()
    assert str(guarded.config.data) not in guarded.get("/metrics").body.decode()
    assert guarded.call("GET", "/metrics", headers={"Host": f"evil.example:{free_port()}"}).status == 403
