"""The original tutorial on the network of `make run`, with the bodies that its readers type, from first to last."""

from __future__ import annotations

from pathlib import Path

import pytest

from moneyer.node.wallet.derive import development_key
from tests.kit.net.launchers import Network
from tests.kit.words import NOT_FOR_PEOPLE

pytestmark = pytest.mark.timeout(300)


def test_the_original_tutorials_calls_work_from_the_first_to_the_last(tmp_path: Path) -> None:
    network = Network(tmp_path)
    _, second, third = (url.removeprefix("http://") for url in network.urls)
    with network.honcho() as launcher:
        network.wait_until_up(launcher)
        # The copies of the tutorial send `node` or `nodes`, a list or one text.
        assert sorted(network.post(1, "/connect_node", {"nodes": network.urls[1:]})["nodes"]) == sorted([second, third])
        network.post(2, "/connect_node", {"node": [network.urls[0], network.urls[2]]})
        network.post(3, "/connect_node", {"nodes": f"{network.urls[0]}, {network.urls[1]}"})

        mined = network.get(1, "/mine_block")
        assert (mined["index"], mined["height"]) == (2, 1)
        added = network.post(1, "/add_transaction", {"sender": "Juhi", "receiver": "Jaroli Sir", "amount": 100})
        assert [each["name"] for each in added["made"]] == ["Juhi", "Jaroli Sir"]
        assert added["made"][0]["coins"] == 1000
        block = network.get(1, "/mine_block")
        assert (block["index"], block["height"]) == (added["index"], added["height"])
        coin = network.get(1, "/v1/coin")
        assert coin["premine"][5][0] == _address("faucet")
        paid = [(each["sender"], each["receiver"], each["amount"]) for each in block["transactions"][1:]]
        assert paid == [(_address("Juhi"), _address("Jaroli Sir"), 100)]

        chain = network.get(1, "/get_chain")
        assert chain["length"] == len(chain["chain"]) == block["index"]
        valid = network.get(1, "/is_valid")
        assert (valid["valid"], valid["index"], valid["height"]) == (True, block["index"], block["height"])
        for number in (2, 3):
            assert network.get(number, "/replace_chain")["message"] == "nodes updated."
            assert network.get(number, "/get_chain")["chain"] == chain["chain"]

        # The same names on another node are the same accounts.
        back = network.post(2, "/add_transaction", {"sender": "Jaroli Sir", "receiver": "Juhi", "amount": 40})
        assert all("coins" not in each for each in back["made"])
        again = network.get(2, "/mine_block")
        assert [(each["sender"], each["receiver"]) for each in again["transactions"][1:]] == [
            (_address("Jaroli Sir"), _address("Juhi"))
        ]
        assert network.get(1, "/replace_chain")["message"] == "nodes updated."
        account = network.get(1, f"/v1/accounts/{_address('Juhi')}")
        assert account["balance"] == (1000 - 100 + 40) * 10**6
        missing = network.post(1, "/add_transaction", {"sender": "Juhi"}, status=400)
        assert missing["error"]["details"]["missing"] == ["receiver", "amount"]
        assert not NOT_FOR_PEOPLE.search(str(missing))


def _address(name: str) -> str:
    from moneyer.node.core.address import encode_address

    return encode_address("dev", development_key(name).payload)
