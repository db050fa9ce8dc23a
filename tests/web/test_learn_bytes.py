"""The lesson computes in the browser: its JavaScript makes the same bytes as the node, vector by vector."""

from __future__ import annotations

import csv
import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from moneyer.node.core import codec
from moneyer.node.core.policy import Policy, decode_policy, decode_witness, exact_choices
from moneyer.node.core.types import POLICY_KIND, Envelope
from tests.conftest import REPOSITORY, vector_file
from tests.kit.browser import pages_of

Vectors = dict[str, Any]


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def folder() -> Iterator[str]:
    """The URL of the folder of the lesson's modules."""
    files = partial(_Files, directory=str(REPOSITORY / "node" / "web" / "static"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/learn"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def vectors2() -> Vectors:
    """The vectors of rules 2."""
    found: Vectors = json.loads(vector_file("rules2.json").read_text("utf-8"))
    return found


class Modules:
    """The lesson's modules, loaded in a browser."""

    NAMES = ("sha256", "bytes", "work", "address", "schnorr", "search", "mining", "policy")

    def __init__(self, page: Page, folder: str) -> None:
        self.page = page
        self.loads = "".join(f"const {name} = await import('{folder}/{name}.js');" for name in self.NAMES)

    def run(self, body: str, given: Any = None) -> Any:
        """The result of a function's body, which sees the modules by their names, and `given`."""
        return self.page.evaluate(f"async (given) => {{ {self.loads}\n{body} }}", given)


@pytest.fixture(scope="module")
def js(browser: Browser, folder: str) -> Iterator[Modules]:
    with pages_of(browser) as new_page:
        new_page.expect("/favicon.ico")  # a bare script names no icon
        page = new_page()
        # As on plain http beyond localhost.
        page.add_init_script("Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined })")
        page.goto(f"{folder}/bytes.js")
        yield Modules(page, folder)


def test_sha256_is_the_standards(js: Modules) -> None:
    texts = ["a" * length for length in (*range(130), 1000, 70_000)]
    found = js.run("return given.map((text) => bytes.toHex(sha256.sha256(bytes.textBytes(text))))", texts)
    assert found == [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def test_every_block_is_read_and_written_back_with_its_hash_root_and_work(js: Modules, vectors: Vectors) -> None:
    blocks = vectors["chain"]["blocks"] + vectors["reorg"]["blocks"] + [vectors["coins"][1]["genesis_block"]]
    found = js.run(
        """return given.map((hex) => {
            const block = bytes.decodeBlock(bytes.fromHex(hex))
            const root = bytes.merkleRoot(block.transactions.map(bytes.txidOf))
            return [bytes.toHex(bytes.encodeBlock(block)), bytes.show(bytes.blockHash(block.header)),
                bytes.show(root) === bytes.show(block.header.merkle_root)]
        })""",
        blocks,
    )
    hashes = [codec.show(codec.block_hash(codec.decode_block(bytes.fromhex(each)).header)) for each in blocks]
    assert found == [[raw, shown, True] for raw, shown in zip(blocks, hashes, strict=True)]
    assert found[len(vectors["chain"]["blocks"]) - 1][1] == vectors["chain"]["state"]["tip_shown"]
    assert found[-1][1] == vectors["coins"][1]["genesis_hash_shown"]


def test_blocks_of_rules_2_are_read_and_written_back_whole(js: Modules, vectors2: Vectors) -> None:
    blocks = vectors2["chain"]["blocks"]
    found = js.run(
        """return given.map((hex) => {
            const block = bytes.decodeBlock(bytes.fromHex(hex))
            const root = bytes.merkleRoot(block.transactions.map(bytes.txidOf))
            return [bytes.toHex(bytes.encodeBlock(block)), bytes.show(root) === bytes.show(block.header.merkle_root)]
        })""",
        blocks,
    )
    assert found == [[raw, True] for raw in blocks]


def test_merkle_roots_and_proofs_are_those_of_the_vectors(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return given.map(({ leaves }) => {
            const levels = bytes.merkleLevels(leaves.map(bytes.fromHex))
            const tops = levels[0].map((leaf, i) => bytes.climb(leaf, i, bytes.merkleBranch(levels, i)))
            return [bytes.toHex(levels.at(-1)[0]), tops.map((steps) => bytes.toHex(steps.at(-1)?.hash ?? levels[0][0]))]
        })""",
        vectors["merkle"],
    )
    assert found == [[row["root"], [row["root"]] * len(row["leaves"])] for row in vectors["merkle"]]


def test_transfers_are_signed_to_the_byte(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return given.map((row) => {
            const secret = bytes.fromHex(row.secret_key)
            const chainId = bytes.fromHex(row.chain_id)
            const hrp = row.sender.split('1')[0]
            const unsigned = { kind: 'transfer', sender: schnorr.payloadOf(secret), amount: BigInt(row.amount),
                receiver: address.decodeAddress(hrp, row.receiver), fee: BigInt(row.fee),
                sequence: BigInt(row.sequence), memo: bytes.textBytes(row.memo) }
            const signed = schnorr.signTransfer(secret, chainId, unsigned, bytes.fromHex(row.aux_rand))
            return [address.encodeAddress(hrp, signed.sender), bytes.toHex(bytes.signedHash(chainId, signed)),
                bytes.toHex(bytes.encodeTransaction(signed)), bytes.show(bytes.txidOf(signed)),
                schnorr.isSigned(chainId, bytes.decodeTransaction(bytes.fromHex(row.raw)))]
        })""",
        vectors["transfers"],
    )
    keys = ("sender", "sighash", "raw", "txid_shown")
    assert found == [[*(row[key] for key in keys), True] for row in vectors["transfers"]]


def test_bytes_that_are_no_transfer_do_not_decode_and_false_signatures_fail(js: Modules, vectors: Vectors) -> None:
    rows = [row for row in vectors["transfers_invalid"] if row["code"] in ("malformed", "bad_signature")]
    found = js.run(
        """return given.rows.map((row) => {
            try {
                const transfer = bytes.decodeTransaction(bytes.fromHex(row.raw))
                if (transfer.kind !== 'transfer') return 'malformed'
                return schnorr.isSigned(bytes.fromHex(given.chainId), transfer) ? 'valid' : 'bad_signature'
            } catch { return 'malformed' }
        })""",
        {"rows": rows, "chainId": vectors["transfers"][0]["chain_id"]},
    )
    assert found == [row["code"] for row in rows]


def test_signatures_are_bip340s(js: Modules) -> None:
    with vector_file("bip340.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = js.run(
        """return given.map((row) => schnorr.verify(
            ...['public key', 'message', 'signature'].map((name) => bytes.fromHex(row[name]))))""",
        rows,
    )
    assert found == [row["verification result"] == "TRUE" for row in rows]


def test_addresses_are_those_of_the_vectors_and_bad_ones_are_refused(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return given.map(({ hrp, payload, address: text }) => [address.encodeAddress(hrp, bytes.fromHex(payload)),
            bytes.toHex(address.decodeAddress(hrp, text))])""",
        vectors["addresses"],
    )
    assert found == [[row["address"], row["payload"]] for row in vectors["addresses"]]
    refused = js.run(
        """return given.map((text) => {
            try { address.decodeAddress('vec', text) } catch { return true }
            return false
        })""",
        [row["address"] for row in vectors["addresses_invalid"]],
    )
    assert all(refused)
    upper = vectors["address_upper_case_is_valid"]
    assert js.run("return address.decodeAddress('vec', given)[0]", upper) == 0


def test_policies_are_read_and_written_back_and_have_their_addresses(js: Modules, vectors2: Vectors) -> None:
    found = js.run(
        """return given.map((row) => {
            const raw = bytes.fromHex(row.policy)
            const decoded = policy.decodePolicy(raw)
            return [bytes.toHex(policy.encodePolicy(decoded)), address.encodeAddress('vec', policy.payloadOf(raw)),
                policy.leavesOf(decoded).map(policy.kindOf)]
        })""",
        vectors2["policies"],
    )
    assert found == [[row["policy"], row["address"], row["kinds"]] for row in vectors2["policies"]]


def test_bytes_that_are_no_policy_are_refused(js: Modules, vectors2: Vectors) -> None:
    rows = vectors2["policies_invalid"] + vectors2["policies_random"]
    found = js.run(
        """return given.map((row) => {
            try { policy.decodePolicy(bytes.fromHex(row.policy)) } catch { return false }
            return true
        })""",
        rows,
    )
    assert found == [row.get("valid", False) for row in rows]


def test_leaves_are_exactly_enough_or_too_few_or_too_many(js: Modules, vectors2: Vectors) -> None:
    words = {"not enough": "too few", "more than enough": "too many"}
    rows = [
        (row["policy"], leaves, verdict)
        for row in vectors2["policies"]
        for leaves, verdict in [
            *((leaves, "enough") for leaves in row["exactly_enough"]),
            *((wrong["named"], words[wrong["why"]]) for wrong in row["not_exactly_enough"]),
        ]
    ]
    judged = "return given.map(([raw, l]) => policy.judge(policy.decodePolicy(bytes.fromHex(raw)), new Set(l)))"
    assert js.run(judged, rows) == [verdict for _, _, verdict in rows]
    random = [
        (row["policy"], each["leaves"], each["exactly_enough"])
        for row in vectors2["policies_random"]
        if row["valid"]
        for each in row["named"]
    ]
    assert [verdict == "enough" for verdict in js.run(judged, random)] == [enough for _, _, enough in random]


def test_the_ways_to_meet_a_policy_are_counted(js: Modules, vectors2: Vectors) -> None:
    rows = [row for row in vectors2["policies"] if len(row["exactly_enough"]) < 30]
    counts = "return given.map((row) => Number(policy.waysOf(policy.decodePolicy(bytes.fromHex(row.policy)))))"
    found = js.run(counts, rows)
    assert found == [len(list(exact_choices(*all_met(row["policy"])))) for row in rows]


def all_met(raw: str) -> tuple[Policy, dict[int, bool]]:
    shape = decode_policy(bytes.fromhex(raw))
    return shape.policy, dict.fromkeys(range(len(shape.leaves)), True)


def test_a_witness_shows_its_policy_and_the_leaves_that_it_names(js: Modules, vectors2: Vectors) -> None:
    spends = [codec.decode_transaction(bytes.fromhex(row["raw"]))[0] for row in vectors2["transactions"]]
    witnesses = [each.witness for each in spends if isinstance(each, Envelope) and each.sender[0] == POLICY_KIND]
    found = js.run(
        """return given.map((hex) => {
            const shown = policy.readWitness(bytes.fromHex(hex))
            return [bytes.toHex(policy.encodePolicy(shown.policy)), shown.named]
        })""",
        [witness.hex() for witness in witnesses],
    )
    assert witnesses
    for (raw, named), witness in zip(found, witnesses, strict=True):
        raw_policy, _, items = decode_witness(witness)
        assert (raw, named) == (raw_policy.hex(), [item.index for item in items])


def test_bits_targets_and_work_are_those_of_the_vectors(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return given.map((row) => {
            try {
                const target = work.decodeBits(parseInt(row.bits, 16))
                const hex = (number, digits) => number.toString(16).padStart(digits, '0')
                return { bits: row.bits, target: hex(target, 64), work: hex(work.blockWork(target), 0),
                    again: hex(work.encodeBits(target), 8) }
            } catch { return { bits: row.bits, target: null } }
        })""",
        vectors["bits"],
    )
    assert found == vectors["bits"]


def test_the_retarget_gives_the_bits_of_every_height(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return given.map(({ coin, timestamps, bits }) => {
            const coinOf = { ...coin, pow_limit: parseInt(coin.pow_limit, 16) }
            const rows = timestamps.map((timestamp, i) => ({ timestamp, bits: parseInt(bits[i], 16) }))
            return bits.map((_, height) =>
                work.nextBits(rows.slice(0, height), height, coinOf).toString(16).padStart(8, '0'))
        })""",
        vectors["retarget"],
    )
    assert found == [row["bits"] for row in vectors["retarget"]]


def test_the_search_finds_the_first_nonce_that_shows_the_work(js: Modules, vectors: Vectors) -> None:
    found = js.run(
        """return Promise.all(given.map(async (hex) => {
            const header = bytes.fromHex(hex.slice(0, 160))
            header.set([0, 0, 0, 0], 76)
            const target = work.decodeBits(0x1f3fffff)
            const { nonce, tries } = await mining.mine(header, target).done
            header.set(bytes.little(nonce, 4), 76)
            return [nonce, tries, bytes.toHex(header)]
        }))""",
        vectors["chain"]["blocks"][:3],
    )
    for nonce, tries, header in found:
        numbers = [codec_hash(bytes.fromhex(header)[:76] + n.to_bytes(4, "little")) for n in range(nonce + 1)]
        assert [number <= 0x3FFFFF << 8 * 28 for number in numbers] == [False] * nonce + [True]
        assert tries == nonce + 1


def codec_hash(header: bytes) -> int:
    """A header's hash as the number that is compared with a target."""
    return int.from_bytes(codec.sha256d(header), "little")


def test_a_search_can_be_stopped(js: Modules) -> None:
    found = js.run(
        """const started = mining.mine(new Uint8Array(80), 0n, () => started.stop())
        const { nonce, tries } = await started.done
        return [nonce, tries > 0]"""
    )
    assert found == [None, True]
