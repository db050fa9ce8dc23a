"""What a refusal says: the field, what it may be, what was found, the near miss; and no word of a library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from moneyer.node.api import app  # noqa: F401 - registers the endpoints
from moneyer.node.api.calls.v1_mining import MineBody, ModeBody
from moneyer.node.api.endpoint import ENDPOINTS, Binary, Endpoint, Text
from moneyer.node.api.http.decode import decode_json
from moneyer.node.api.http.errors import HttpError
from moneyer.node.system.words import describe, explain, nearest
from tests.kit.running import Answer, RunningNode, running
from tests.kit.words import NOT_FOR_PEOPLE

WRONG: list[Any] = [None, True, 5, -1, 1.5, "", "?", "x" * 3_000, [], [None], [[]], {}, {"a": 1}]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running(tmp_path_factory.mktemp("words") / "node") as held:
        yield held


def check(answer: Answer, about: object) -> Any:
    assert answer.status < 500 or answer.code in ("no_worker", "busy"), (about, answer.body)
    if answer.status < 400:
        return None
    text = answer.body.decode()
    assert not NOT_FOR_PEOPLE.search(text), (about, text)
    error = answer.json["error"]
    assert error["message"], about
    return error


def with_a_body() -> list[Endpoint]:
    return [each for each in ENDPOINTS if each.body is not None and not isinstance(each.body, Binary)]


def path_of(endpoint: Endpoint) -> str:
    return re.sub(r"\{\w+\}", "nothing", endpoint.path)


@pytest.mark.parametrize("endpoint", with_a_body(), ids=lambda endpoint: endpoint.name)
def test_a_wrong_value_is_told_by_its_field(told: RunningNode, endpoint: Endpoint) -> None:
    kind: Any = endpoint.body
    required = dict.fromkeys(kind.__struct_encode_fields__, "x")
    for field in kind.__struct_encode_fields__:
        for wrong in WRONG:
            value = {**required, field: wrong}
            problem = explain(kind, value)
            answer = told.call(endpoint.method, path_of(endpoint), value, OWN_PAGE)
            error = check(answer, value)
            if problem is not None:
                assert (answer.status, error["code"]) == (400, "bad_field"), (value, answer.body)
                assert error["details"]["field"].startswith(problem.field), (value, answer.body)
                assert problem.expected in error["message"], (value, answer.body)


@pytest.mark.parametrize("endpoint", with_a_body(), ids=lambda endpoint: endpoint.name)
def test_a_wrong_name_gets_the_right_one_and_a_missing_field_is_named(told: RunningNode, endpoint: Endpoint) -> None:
    kind: Any = endpoint.body
    config = kind.__struct_config__
    for field in kind.__struct_encode_fields__:
        misspelt = field + field[-1]
        error = check(told.call(endpoint.method, path_of(endpoint), {misspelt: "x"}, OWN_PAGE), misspelt)
        if config.forbid_unknown_fields or hasattr(kind, "spellings"):
            assert f"did you mean {field}" in error["message"], (misspelt, error)
    bodies: tuple[Any, ...] = ({}, [], "x", 5, None)
    for body in bodies:
        check(told.call(endpoint.method, path_of(endpoint), json.dumps(body).encode(), JSON), body)
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    if required := [field.encode_name for field in info.fields if field.required]:
        error = check(told.call(endpoint.method, path_of(endpoint), {}, OWN_PAGE), endpoint.path)
        assert f"{required[0]} is missing" in error["message"]


OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
JSON = {**OWN_PAGE, "Content-Type": "application/json"}


@pytest.mark.parametrize(
    "text", [b"{", b"{'a': 1}", b'{"a": 1,}', b"hello", b"", b"\xff", b'{"a": "\\ud800"}', b"[1, 2"]
)
@pytest.mark.parametrize("endpoint", with_a_body(), ids=lambda endpoint: endpoint.name)
def test_what_is_no_json_is_told_in_plain_words(told: RunningNode, endpoint: Endpoint, text: bytes) -> None:
    check(told.call(endpoint.method, path_of(endpoint), text, JSON), text)


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if each.query], ids=lambda endpoint: endpoint.name)
def test_a_wrong_parameter_is_told(told: RunningNode, endpoint: Endpoint) -> None:
    kind: Any = endpoint.query
    for field in kind.__struct_encode_fields__:
        streams = isinstance(endpoint.reply, Text)  # has no end, where nothing is wrong with the request
        for wrong in ("x" * 300,) if streams else ("", "abc", "-1", "1e9", "9" * 30, "x" * 300, "%00", "' OR 1"):
            answer = told.call(endpoint.method, f"{path_of(endpoint)}?{field}={wrong.replace(' ', '+')}")
            check(answer, (field, wrong))
        error = check(told.call(endpoint.method, f"{path_of(endpoint)}?{field}{field[-1]}=1"), field)
        if "{" not in endpoint.path or error["code"] == "bad_query":
            assert f"did you mean {field}" in error["message"]


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if "{" in each.path], ids=lambda endpoint: endpoint.name
)
def test_a_wrong_path_is_told(told: RunningNode, endpoint: Endpoint) -> None:
    for wrong in ("nothing", "1", "0" * 63, "0" * 64, "9" * 40, "easy1qqq", "%C3%A9", "-1", "' OR 1".replace(" ", "+")):
        check(told.call(endpoint.method, re.sub(r"\{\w+\}", wrong, endpoint.path)), wrong)


def test_a_pattern_always_has_words_of_its_own() -> None:
    for endpoint in ENDPOINTS:
        for kind in (endpoint.body, endpoint.query):
            if kind is not None and not isinstance(kind, Binary):
                info: Any = msgspec.inspect.type_info(kind)
                assert not NOT_FOR_PEOPLE.search(" ".join(describe(field.type) for field in info.fields)), kind


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (
            ModeBody,
            {"mode": "Instant"},
            'mode must be demand, instant, continuous or interval:SECONDS, not "Instant"; did you mean instant?',
        ),
        (ModeBody, {}, "mode is missing: it must be demand, instant, continuous or interval:SECONDS"),
        (MineBody, {"blocks": "3"}, 'blocks must be a whole number from 1 to 100000, not "3"'),
        (MineBody, {"count": 3}, 'there is no field "count" here; did you mean blocks?'),
        (MineBody, [3], "the body must be a JSON object with blocks and address, not a list of 1"),
    ],
)
def test_the_words_of_a_refusal(kind: Any, body: Any, said: str) -> None:
    with pytest.raises(HttpError) as refused:
        decode_json(json.dumps(body).encode(), kind)
    assert refused.value.message == said


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Instant", "instant"),
        ("instnat", "instant"),
        (" demand ", "demand"),
        (f"{' ' * 60}demand", "demand"),
        ("zebra", None),
        ("demand" * 10_000, None),
        ("", None),
    ],
)
def test_the_nearest_word_is_found(word: str, meant: str | None) -> None:
    assert nearest(word, ["demand", "instant", "continuous"]) == meant
