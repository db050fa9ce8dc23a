"""The OpenAPI document is the code's own, whole, and true of a running node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from moneyer.node.api.app import build_app
from moneyer.node.api.endpoint import ENDPOINTS
from moneyer.node.config import Config
from moneyer.node.service import Node
from tests.kit.chains import issue
from tests.kit.nodes import place_coin
from tests.kit.running import ALICE, RunningNode, rich_coin, running

SETTINGS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)

# By default a body that is over the bound of its call, and so too long for the document, would have to be a 400.
CONFIG = SchemathesisConfig.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": ["400", "401", "403", "404", "409", "413", "422"]}}}
)
PATIENCE = 60
"""Seconds for an answer. By default there are ten, and a call that asks another node may take five by itself."""
# Waits for a worker, which this node does not have: test_mining.py.
# Never ends: test_events.py.
SLOW = {"/mine_block", "/v1/events"}
# Left out: what needs a token (test_guard.py), and acceptance of whatever is well-formed, for a transfer that is
# well-formed is not yet signed and funded.
CHECKED = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.allow_header_conformance,
    checks.unsupported_method,
]


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    coin = rich_coin(rules=2)
    with running(tmp_path_factory.mktemp("lively") / "node", coin) as node:
        node.extend(transfers=[issue(coin, ALICE, 5)])
        yield node


@pytest.fixture
def document(node: RunningNode) -> dict[str, Any]:
    loaded: dict[str, Any] = node.get("/openapi.json").json
    return loaded


def test_every_route_stands_in_the_document(document: dict[str, Any], tmp_path: Path) -> None:
    config = Config(data=tmp_path)
    place_coin(tmp_path, rich_coin())
    here = Node.open(config)
    routes = {(route.method, re.sub(r"<(\w+)>", r"{\1}", route.rule)) for route in build_app(here).routes}
    here.close()
    assert routes == {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def test_the_endpoints_that_the_interface_names_are_all_there(document: dict[str, Any]) -> None:
    named = """
        GET /get_chain, GET /mine_block, POST /mine_block, GET /is_valid, POST /add_transaction, POST /connect_node,
        GET /replace_chain, POST /replace_chain, GET /v1/status, GET /v1/blocks, GET /v1/blocks/{block},
        GET /v1/blocks/{block}/raw, GET /v1/blocks/{block}/summary, GET /v1/blocks/{block}/transactions,
        GET /v1/blocks/next, GET /v1/tips, GET /v1/transactions/{txid}, GET /v1/transactions/{txid}/proof,
        GET /v1/transactions/{txid}/raw,
        POST /v1/transactions, POST /v1/transactions/check, GET /v1/mempool, GET /v1/accounts/{address},
        GET /v1/accounts/{address}/transactions, GET /v1/peers, POST /v1/peers, DELETE /v1/peers/{peer}, GET /v1/coin,
        POST /v1/mine, GET /v1/jobs/{job}, GET /v1/events, GET /metrics,
        GET /openapi.json, GET /healthz, GET /p2p/hello,
        POST /p2p/connect, GET /p2p/peers, POST /p2p/headers, POST /p2p/blocks, POST /p2p/block,
        POST /p2p/transactions, GET /p2p/mempool, GET /v1/mining, POST /v1/mining, GET /v1/mining/template,
        POST /v1/mining/submit, GET /v1/tree, GET /v1/stats, GET /v1/search, GET /v1/rich, GET /v1/network,
        GET /v1/network/graph, POST /v1/sessions,
        GET /v1/assets, GET /v1/assets/{asset}, GET /v1/assets/{asset}/holders, GET /v1/assets/{asset}/transactions,
        GET /v1/accounts/{address}/assets, POST /v1/policies/encode, POST /v1/policies/decode,
        POST /v1/session, DELETE /v1/session, GET /v1/peers/conditions, PUT /v1/peers/conditions, POST /v1/restore
    """
    wanted = {tuple(each.split()) for each in named.split(",")}
    assert wanted == {(method.upper(), path) for path, item in document["paths"].items() for method in item}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r"'#/components/schemas/(\w+)'", str(document)):
        assert name in schemas


def test_every_endpoint_has_a_name_of_its_own() -> None:
    names = [each.name for each in ENDPOINTS]
    assert len(set(names)) == len(names)


def test_what_needs_the_token_says_so(document: dict[str, Any]) -> None:
    marked = {path for path, item in document["paths"].items() if any("security" in each for each in item.values())}
    assert marked == {
        *("/mine_block", "/replace_chain", "/add_transaction", "/connect_node"),
        *("/v1/mine", "/v1/sessions", "/v1/peers", "/v1/peers/{peer}", "/v1/peers/conditions"),
        "/v1/restore",
        *("/v1/mining", "/v1/mining/template", "/v1/mining/submit"),
    }


@pytest.mark.parametrize(("method", "path"), sorted({(e.method, e.path) for e in ENDPOINTS if e.path not in SLOW}))
def test_an_endpoint_answers_as_the_document_says(
    lively: RunningNode, document: dict[str, Any], method: str, path: str
) -> None:
    """Schemathesis: made-up requests, right ones and wrong ones, on a real node."""
    operation = schemathesis.openapi.from_dict(document, config=CONFIG)[path][method]

    @SETTINGS
    @given(case=st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode]))
    def answers_well(case: Any) -> None:
        case.call_and_validate(base_url=lively.url, checks=CHECKED, timeout=PATIENCE)

    answers_well()


@pytest.mark.parametrize(
    ("method", "path"), sorted({(e.method, e.path) for e in ENDPOINTS if e.token and e.path not in SLOW})
)
def test_the_token_is_never_ignored(guarded: RunningNode, method: str, path: str) -> None:
    operation = schemathesis.openapi.from_dict(guarded.get("/openapi.json").json)[path][method]

    @settings(SETTINGS, max_examples=3)
    @given(case=operation.as_strategy(headers=guarded.bearer))
    def asks_for_it(case: Any) -> None:
        case.call_and_validate(base_url=guarded.url, checks=[not_a_server_error, checks.ignored_auth], timeout=PATIENCE)

    asks_for_it()
