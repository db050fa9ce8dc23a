"""Pictures of experiments: well-formed SVG in which everything has its place."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from moneyer.node.devnet.lab.pictures.canvas import COLOURS
from moneyer.node.devnet.lab.pictures.curve_picture import Panel, Series, curve_picture
from moneyer.node.devnet.lab.pictures.tree_picture import TreeBlock, TreeScene, tree_picture

SVG = "{http://www.w3.org/2000/svg}"


def hash_of(number: int) -> str:
    return f"{number:064x}"


def chain(numbers: list[int], parent: int, height: int, note: str = "") -> list[TreeBlock]:
    """Blocks on a parent; the note is the first's."""
    parents = [parent, *numbers]
    return [
        TreeBlock(hash_of(number), hash_of(parents[place]), height + place, note if place == 0 else "")
        for place, number in enumerate(numbers)
    ]


TRUNK = chain([0, 1, 2, 3], parent=999, height=0)
LEFT = chain([104, 105], parent=3, height=4, note="alice pays bob")
RIGHT = chain([204, 205, 206], parent=3, height=4, note="alice pays carol")
APART = TreeScene("cut", [*TRUNK, *LEFT, *RIGHT], {"1": hash_of(105), "2": hash_of(206)})
HEALED = TreeScene("healed", [*TRUNK, *LEFT, *RIGHT], {"1": hash_of(206), "2": hash_of(206)})


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in read(svg).iter(f"{SVG}text")]


def boxes_of_blocks(svg: str) -> Iterator[tuple[str, dict[str, str]]]:
    """What each box of a block says of itself, and its attributes; in the order of the scenes."""
    for box in read(svg).iter(f"{SVG}rect"):
        title = box.find(f"{SVG}title")
        if title is not None:
            yield title.text or "", dict(box.attrib)


def test_a_branch_that_a_node_follows_is_filled_and_one_that_none_follows_is_dashed() -> None:
    found = list(boxes_of_blocks(tree_picture("A fork", [APART, HEALED])))
    looks: dict[str, list[dict[str, str]]] = {}
    for title, box in found:
        looks.setdefault(title, []).append(box)
    lost, won = looks[f"block 5: {hash_of(105)}"], looks[f"block 6: {hash_of(206)}"]
    assert [box.get("stroke-dasharray") for box in won] == [None, None]
    assert lost[0].get("stroke-dasharray") is None
    assert lost[1]["stroke-dasharray"]
    assert {box["fill"] for box in won} == {COLOURS[0]}
    assert lost[0]["fill"] == COLOURS[1]


def test_blocks_of_a_height_stand_in_one_column_and_each_in_a_place_of_its_own() -> None:
    svg = tree_picture("A fork", [APART])
    places = {title: (box["x"], box["y"]) for title, box in boxes_of_blocks(svg)}
    assert len(set(places.values())) == len(places) == 7, "from the block before the fork on"
    assert places[f"block 5: {hash_of(105)}"][0] == places[f"block 5: {hash_of(205)}"][0]
    ys = {y for title, (_, y) in places.items() if hash_of(105) not in title and hash_of(104) not in title}
    assert len(ys) == 1, "the winner's branch is one straight line"


def test_nodes_stand_at_their_tips_and_notes_at_their_blocks() -> None:
    svg = tree_picture("A fork", [APART, HEALED])
    assert {"node 1", "node 2", "nodes 1, 2", "cut", "healed"} <= set(texts(svg))
    assert texts(svg).count("alice pays bob") == 2


def test_a_long_chain_with_many_short_branches_fits_into_few_rows() -> None:
    trunk = chain(list(range(61)), parent=999, height=0)
    twigs = [block for at in range(3, 60, 4) for block in chain([1000 + at], parent=at - 1, height=at)]
    svg = tree_picture("Many", [TreeScene("all", [*trunk, *twigs], {str(n): hash_of(60) for n in range(40)})])
    assert len({box["y"] for _, box in boxes_of_blocks(svg)}) == 2
    assert "40 nodes" in texts(svg)
    root = read(svg)
    wide = float(root.get("width", "0"))
    assert all(float(box["x"]) + float(box["width"]) < wide for _, box in boxes_of_blocks(svg))


def test_a_chain_without_a_fork_is_drawn_too() -> None:
    svg = tree_picture("One chain", [TreeScene("now", TRUNK, {"1": hash_of(3)})])
    assert len(list(boxes_of_blocks(svg))) == 4


def test_text_of_strangers_stays_text() -> None:
    name = '<script>\x1b[31m&"'
    svg = tree_picture(name, [TreeScene(name, chain([5], 4, 5, note="<b>"), {"<i>": hash_of(5)})])
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert "node <i>" in texts(svg)


def test_curves_have_axes_with_round_numbers_and_a_legend() -> None:
    line = Series("formula", [(0.1, 0.09), (0.5, 0.33), (1.0, 0.5)])
    dots = Series("measured", [(0.2, 0.1), (0.9, 0.46)], has_line=False, has_dots=True)
    svg = curve_picture("Stale blocks", "delay", [Panel("share", [line, dots], is_percent=True)])
    assert {"formula", "measured", "delay", "share", "0 %", "20 %", "40 %", "0.2", "1"} <= set(texts(svg))
    assert len(list(read(svg).iter(f"{SVG}circle"))) == 3, "two points and one in the legend"


@pytest.mark.parametrize(
    "points", [[(1, 5)], [(1, 0), (2, 0)], [(3, 7), (3, 7)], [(1, -2), (2, 3)], [(0, 1e-9), (10**9, 1e12)]]
)
@pytest.mark.parametrize("is_stepped", [False, True])
def test_odd_points_are_drawn_within_the_picture(points: list[tuple[float, float]], is_stepped: bool) -> None:
    root = read(curve_picture("t", "x", [Panel("y", [Series("s", points, has_dots=True, is_stepped=is_stepped)])]))
    for dot in root.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx", "")) <= float(root.get("width", ""))
        assert 0 <= float(dot.get("cy", "")) <= float(root.get("height", ""))


def test_a_chance_is_drawn_over_decades_and_none_at_all_is_left_out() -> None:
    svg = curve_picture("t", "x", [Panel("chance", [Series("s", [(1, 0.3), (2, 0.004), (3, 0.0)])], is_log=True)])
    assert {"1", "0.1", "0.01", "0.001"} <= set(texts(svg))
