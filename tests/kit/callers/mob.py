"""Processes that want everything of a node at once, each from an address of its own, as fast as it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count

from moneyer.node.core import codec
from moneyer.node.core.codec import show
from moneyer.node.system.shares import CONNECTIONS, DEAR_READS, EVENT_STREAMS, SMALL_BODIES
from tests.kit.callers.crowds import POOR, SILENT, places, request
from tests.kit.chains import transfer
from tests.kit.running import BOB, RunningNode
from tests.kit.waiting import wait_until

HOSTILE = ("127.0.0.2", "127.0.0.3")
_BATCH = 4_000
"""Transfers, of 160 bytes each."""
_SLOW = 2_400
"""Bytes of a body that come a second: fast enough not to be ended, and too slow to be whole in time."""
_NUMBER = "NUMBER"
_PAUSE = 0.05
"""Seconds before a connection that was ended is made again."""


_numbers = count(3_000_000_000)
"""Heights above every block's."""


@dataclass(frozen=True)
class Many:
    """`count` connections, on each of which `request` is sent again whenever it is answered, with a number of its own
    each time where `_NUMBER` stands. `is_slow`: its body is
    announced, and comes at `_SLOW` bytes a second. `stays`: its answer has no end."""

    count: int
    request: bytes
    is_slow: bool = False
    stays: bool = False


def everything(node: RunningNode, source: str, unfunded: list[bytes]) -> list[Many]:
    """What one address may want: nearly as many connections as it may have. `unfunded`: transfers."""
    caller = {"chain_id": show(node.coin.chain_id), "node_id": "0" * 32, "url": SILENT.url(source)}
    many = [
        Many(200, request("POST", "/v1/transactions", b'{"raw": "', length=60_000), is_slow=True),
        Many(60, request("GET", "/v1/events"), stays=True),
        Many(20, request("GET", "/v1/blocks?limit=60")),
        Many(40, request("GET", f"/v1/blocks?limit=60&before={_NUMBER}")),  # no two alike: none is kept
        Many(40, request("GET", "/p2p/hello")),
        Many(40, request("POST", "/v1/transactions", b"[]")),
        Many(20, request("POST", "/v1/transactions", json.dumps({"raw": unfunded[0].hex()}).encode())),
        Many(20, request("POST", "/v1/transactions/check", json.dumps({"raw": unfunded[0].hex()}).encode())),
        Many(6, request("POST", "/p2p/transactions", b"".join(unfunded), "application/octet-stream")),
        Many(2, request("POST", "/p2p/connect", json.dumps(caller).encode())),
    ]
    assert sum(each.count for each in many) < CONNECTIONS.each
    return many


@contextmanager
def mobs(node: RunningNode, sources: tuple[str, ...]) -> Iterator[None]:
    """A process from each of `sources`, for as long as the block runs. They have what they can get as it begins."""
    spawned = multiprocessing.get_context("spawn")
    made = [transfer(node.coin, POOR, BOB, 1, memo=b"%d" % number) for number in range(_BATCH)]
    unfunded = [codec.encode_transaction(each) for each in made]
    with ExitStack() as stack:
        for source in sources:
            process = spawned.Process(
                target=_run, args=(node.port, source, everything(node, source, unfunded)), daemon=True
            )
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
        for bound in (SMALL_BODIES, EVENT_STREAMS):
            full = len(sources) * bound.each
            wait_until(lambda: places(node, bound).held >= full, 60, f"all {bound.name}")  # noqa: B023
        wait_until(lambda: places(node, DEAR_READS).waiting, 60, "callers that wait for dear reads")
        yield


def _run(port: int, source: str, many: list[Many]) -> None:
    asyncio.run(_want(port, source, many))


async def _want(port: int, source: str, many: list[Many]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in many:
            for _ in range(each.count):
                group.create_task(_again_and_again(port, source, each))


async def _again_and_again(port: int, source: str, what: Many) -> None:
    while True:
        with contextlib.suppress(OSError, EOFError, ValueError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
            try:
                while True:
                    writer.write(what.request.replace(_NUMBER.encode(), b"%d" % next(_numbers)))
                    answer = asyncio.create_task(_answer(reader, what))
                    try:
                        while what.is_slow and not answer.done():
                            await asyncio.wait([answer], timeout=1)
                            writer.write(b"0" * _SLOW)
                        await answer
                    finally:
                        answer.cancel()
            finally:
                writer.close()
        await asyncio.sleep(_PAUSE)


async def _answer(reader: asyncio.StreamReader, what: Many) -> None:
    """Read it to its end. Raises EOFError, OSError or ValueError where there is none."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if what.stays and head[9:12] == b"200":
        while await reader.read(65_536):
            pass
        raise EOFError
    _, told, rest = head.partition(b"content-length:")
    if what.is_slow or not told:
        raise EOFError  # what is sent of a body that was refused would be taken for the next request
    await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
