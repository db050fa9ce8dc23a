"""Lines as miners in the wild send them: notifications, short numbers, odd extensions, the user names of pools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from moneyer.node.config import NO_FOLDER, Config
from moneyer.node.wallet.derive import random_key
from moneyer.node.wallet.keystore import add_key
from moneyer.worker.stratum.payees import Payees
from moneyer.worker.stratum.protocol import StratumError, split_user
from tests.kit.chains import easy_coin, key
from tests.kit.mining.miners import DIFFICULTY_1, Share
from tests.kit.mining.stratum import Stratum, serving
from tests.kit.mining.workers import HOPELESS, MILD, NodeFolder
from tests.kit.waiting import wait_until

COIN = easy_coin(pow_limit=HOPELESS)
ALICE = key("alice")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stratum]:
    folder = tmp_path_factory.mktemp("wild") / "node"
    with serving(folder, COIN, "--difficulty", "0.000001") as (_, started):
        yield started


def test_what_bfgminer_sends_before_it_subscribes_is_obeyed_and_not_answered(server: Stratum) -> None:
    capabilities = b'{"id":null,"method":"mining.capabilities","params":[{"notify":[],"set_difficulty":{},"malgo":{}}]}'
    target = b'{"id": null, "method": "mining.suggest_target", "params": ["%064x"]}' % (DIFFICULTY_1 * 2)
    subscribe = b'{"id": 1, "method": "mining.subscribe", "params": ["bfgminer/5.5.0"]}'
    with server.miner() as miner:
        miner.send(b"\n".join((capabilities, target, subscribe, b"")))
        first = miner.read()
        assert (first["id"], first["error"]) == (1, None)
        miner.extranonce1, miner.extranonce2_size = bytes.fromhex(first["result"][1]), first["result"][2]
        assert miner.call("mining.authorize", ["miner", "x"]) is True
        miner.next_job()
        assert miner.difficulty == pytest.approx(0.5)


@pytest.mark.parametrize("head", ['"id":null,', ""])
def test_no_notification_is_answered_whatever_is_wrong_with_it(server: Stratum, head: str) -> None:
    with server.started() as miner:
        for method, params in (
            ("mining.nothing", "[]"),
            ("mining.submit", "[7]"),
            ("mining.authorize", '["nobody","x"]'),
            ("mining.configure", "7"),
            ("mining.suggest_difficulty", "[-1]"),
            ("mining.ping", "[]"),
            ("mining.extranonce.subscribe", "{}"),
        ):
            miner.send(f'{{{head}"method":"{method}","params":{params}}}\n'.encode())
        miner.send(b'{"id":77,"method":"mining.ping","params":[]}\n')
        assert miner.answer() == {"id": 77, "result": True, "error": None}


def test_a_share_that_is_a_notification_counts_and_a_difficulty_asked_for_so_holds(server: Stratum) -> None:
    with server.started("miner.quiet") as miner:
        share = miner.search(miner.jobs[-1])
        miner.send(
            json.dumps({"id": None, "method": "mining.submit", "params": share.params(miner.user)}).encode() + b"\n"
        )
        assert miner.submit_code(share) == 22  # it came before
        miner.send(b'{"method":"mining.suggest_difficulty","params":[0.25]}\n')
        miner.job_of_difficulty(0.25)


@pytest.mark.parametrize("number", ["true", "1.5", '"' + "x" * 65 + '"', "[]", '{"a":1}', str(2**63)])
def test_an_id_that_is_none_of_json_rpcs_gets_an_error(server: Stratum, number: str) -> None:
    with server.miner() as miner:
        miner.send(f'{{"id":{number},"method":"mining.ping","params":[]}}\n'.encode())
        answer = miner.answer()
        assert answer["error"][0] == 20
        assert "an id is" in answer["error"][1]


def zeros_in_front(share: Share) -> bool:
    return share.nonce < 1 << 20


def test_numbers_that_have_lost_their_zeros_in_front_make_the_same_share(server: Stratum) -> None:
    with server.miner() as miner:
        miner.call("mining.configure", [["version-rolling"], {"version-rolling.mask": "fffe000"}])
        miner.start()
        share = miner.search(miner.jobs[-1], version=miner.jobs[-1].version | 0x2000)
        assert zeros_in_front(share)
        user, job, extranonce2, when, nonce, bits = share.params("miner", rolls_version=True)
        short = [user, job, extranonce2, when.lstrip("0"), nonce.lstrip("0") or "0", bits.lstrip("0")]
        assert (len(short[4]), len(short[5])) < (8, 8)
        assert miner.code_of("mining.submit", short) is None
        assert miner.code_of("mining.submit", [user, job, extranonce2, when, nonce, bits]) == 22


def test_extranonce2_is_bytes_and_is_not_padded(server: Stratum) -> None:
    with server.started() as miner:
        user, job, extranonce2, when, nonce = miner.search(miner.jobs[-1]).params("miner")
        assert extranonce2 == "00000000"
        for short in ("0", "00", "0000000", ""):
            assert miner.code_of("mining.submit", [user, job, short, when, nonce]) == 20


@pytest.mark.parametrize("nonce", ["", "123456789", "0x12", "-1", "+1", "1_0", "\uff11\uff12", " 12", None, 18])
def test_what_is_no_number_is_still_refused(server: Stratum, nonce: object) -> None:
    with server.started() as miner:
        user, job, extranonce2, when, _ = miner.search(miner.jobs[-1]).params("miner")
        assert miner.code_of("mining.submit", [user, job, extranonce2, when, nonce]) == 20


def test_a_block_found_with_a_short_nonce_is_a_block(tmp_path: Path) -> None:
    with serving(tmp_path / "node", easy_coin(pow_limit=MILD)) as (node, started), started.started() as miner:
        share = miner.search(miner.jobs[-1], miner.jobs[-1].block_target)
        params = share.params("miner")
        assert miner.call("mining.submit", [*params[:4], params[4].lstrip("0")]) is True
        wait_until(lambda: node.height == 1, 10, "the block")


def test_one_extension_with_a_bad_parameter_costs_only_itself(server: Stratum) -> None:
    with server.miner() as miner:
        said = miner.call(
            "mining.configure", [["version-rolling", "minimum-difficulty"], {"version-rolling.mask": "1fffe000"}]
        )
        assert said["version-rolling"] is True
        assert said["version-rolling.mask"] == "1fffe000"
        assert said["minimum-difficulty"] == "a difficulty is a number above 0"
        other = miner.call(
            "mining.configure",
            [
                ["minimum-difficulty", "version-rolling", "info", "x\x1b"],
                {"minimum-difficulty.value": 3, "version-rolling.mask": "zz", "info.hw": 7},
            ],
        )
        assert other == {
            "minimum-difficulty": True,
            "version-rolling": "the mask has 1 to 8 hex digits",
            "info": False,
            r"x\x1b": False,
        }
        miner.start()
        assert miner.difficulty == 3


def test_a_minimum_that_is_asked_for_in_the_middle_brings_a_job_of_that_difficulty(server: Stratum) -> None:
    with server.started() as miner:
        asked = {"minimum-difficulty.value": 0.5}
        assert miner.call("mining.configure", [["minimum-difficulty"], asked]) == {"minimum-difficulty": True}
        miner.job_of_difficulty(0.5)


USERS = [
    ("{}", None),
    ("{}.rig", None),
    ("{}_rig1", None),
    ("{}.rig_2.b", None),
    ("{}_rig.2", None),
    ("{}/0.5", 0.5),
    ("{}+0.5", 0.5),
    ("{}/1+0.5", 0.5),
    ("{}+1024", 1024),
    ("{}.rig+0.5", 0.5),
    ("{}_rig/2", 2),
    ("{}/0.5.rig", 0.5),
    ("{}+2.192x168x1x20", 2),
    ("{}/1+0.5_rig", 0.5),
    (" {} ", None),
]


@pytest.mark.parametrize(("form", "difficulty"), USERS)
@pytest.mark.parametrize("who", ["miner", ALICE.address(COIN)], ids=["name", "address"])
def test_the_forms_of_a_user_that_pools_take(server: Stratum, who: str, form: str, difficulty: float | None) -> None:
    with server.started(form.format(who)) as miner:
        assert miner.difficulty == pytest.approx(difficulty or 0.000001)
        if not difficulty:
            assert miner.submit(miner.search(miner.jobs[-1])) is True


def test_each_form_pays_whom_it_names(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", COIN) as node:
        payees = Payees(COIN, node.config)
        own = node.wallet.payload_of("miner")
        for form, _ in USERS:
            assert payees.of_user(split_user(form.format("miner"))[0]) == own
            assert payees.of_user(split_user(form.format(ALICE.address(COIN)))[0]) == ALICE.payload


def test_of_names_that_begin_alike_the_longest_counts(tmp_path: Path) -> None:
    with NodeFolder(tmp_path / "node", COIN) as node:
        two = add_key(node.config.wallet_file, "miner_two", random_key()).payload_of("miner_two")
        payees = Payees(COIN, node.config)
        own = node.wallet.payload_of("miner")
        assert payees.of_user("miner_two") == payees.of_user("miner_two.rig") == two
        assert payees.of_user("miner_tw") == payees.of_user("miner_twothree") == payees.of_user("miner") == own


@pytest.mark.parametrize(("data", "tells"), [(Path("here"), True), (NO_FOLDER, False)], ids=["folder", "URL alone"])
def test_a_user_is_told_of_names_only_where_a_wallet_can_have_them(data: Path, tells: bool) -> None:
    with pytest.raises(StratumError) as refused:
        Payees(COIN, Config(data)).of_user("nobody")
    assert ("wallet" in str(refused.value)) is tells, refused.value


@pytest.mark.parametrize("user", ["miner/", "miner+x", "miner/0", "miner+-1", "miner/nan", "miner+1e999", "miner/1+"])
def test_what_stands_for_a_difficulty_and_is_none_is_refused_with_a_sentence(user: str) -> None:
    with pytest.raises(StratumError, match=r"difficulty"):
        split_user(user)


@pytest.mark.parametrize("user", ["nobody_rig", "/1", "+1", "_rig", ".rig", "easy1qqqq_rig"])
def test_a_form_does_not_make_a_payee_of_nobody(server: Stratum, user: str) -> None:
    with server.miner() as miner:
        miner.subscribe()
        assert miner.code_of("mining.authorize", [user, "x"]) == 24
