"""A contract for people and for `--json`: what it is, who can spend now, what opens when, who has shown that he holds
it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ....contracts.moment import Moment
    from ....wallet.cosigning.contract_book import Contract
    from ...contract_place import ContractPlace


def rows_of(place: ContractPlace, contract: Contract, moment: Moment | None) -> list[tuple[str, object]]:
    """Lines of name and value. `moment`: None where no node says what is open now."""
    from ....contracts.explain import in_words, what
    from ....contracts.language import print_policy

    name_of = place.names_of(contract)
    rows: list[tuple[str, object]] = [
        ("contract", contract.name),
        ("address", place.coin.address(contract.payload)),
        ("policy", print_policy(contract.policy, name_of)),
        ("means", what(contract.policy, name_of)),
    ]
    if moment is not None:
        words = in_words(contract.policy, place.coin, moment, name_of)
        rows.append(("can spend now", words.now or "nobody: it is locked"))
        rows += [("later", opening.sentence) for opening in words.later]
    rows.append(("ready", ready_text(place, contract)))
    return rows


def ready_text(place: ContractPlace, contract: Contract) -> str:
    """Whether each co-signer has shown that he holds the contract; else who has not."""
    lacking = place.lacking(contract)
    if not lacking:
        return "yes: each co-signer has shown that he holds it"
    return f"no: not shown yet by {', '.join(lacking)}"


def view(place: ContractPlace, contract: Contract, moment: Moment | None) -> dict[str, Any]:
    """The same for programs."""
    from ....contracts.explain import in_words
    from ....contracts.language import print_policy
    from ....contracts.policy_tree import tree_of

    name_of = place.names_of(contract)
    unproven = contract.unproven(place.own)
    found: dict[str, Any] = {
        "name": contract.name,
        "address": place.coin.address(contract.payload),
        "policy": print_policy(contract.policy, name_of),
        "raw": contract.raw_policy.hex(),
        "tree": tree_of(contract.policy),
        "ready": not unproven,
        "signers": [
            {"key": key.hex(), "name": name_of(key), "own": key in place.own, "proven": key not in unproven}
            for key in contract.keys
        ],
    }
    if moment is not None:
        words = in_words(contract.policy, place.coin, moment, name_of)
        found["now"] = words.now
        found["later"] = [
            {"height": opening.height, "time": opening.time, "who": opening.who} for opening in words.later
        ]
    return found
