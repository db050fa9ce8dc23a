"""Write what the pages of the lab show: python -m tools.lab_pages

Runs all attacks, and makes the protocol's page from docs/protocol.md (`python -m tools.lab_pages protocol` does that
alone). The records of the experiments are kept when `tools.experiments` runs them.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from moneyer.node.devnet.lab.attacking import run_attacks
from moneyer.node.devnet.lab.attacks import ATTACKS
from moneyer.node.devnet.lab.experiments.notebook import Experiment, Notebook
from moneyer.node.devnet.lab.lab_entry import LabRun
from moneyer.node.devnet.lab.lab_list import EXPERIMENTS
from moneyer.node.web.lab_pages import FOLDER

REPOSITORY = Path(__file__).resolve().parent.parent
PROTOCOL = REPOSITORY / "docs" / "protocol.md"
PROTOCOL_PAGE = REPOSITORY / "node" / "web" / "templates" / "learn" / "protocol_text.html"
MOST_FIELDS = 12
"""Of an attack that are shown."""


def write(name: str, content: Any) -> None:
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (FOLDER / name).write_text(f"{text}\n", "utf-8")


def keep_experiment(experiment: Experiment, book: Notebook) -> None:
    """The record of a run in the place of the one that was there, with its pictures."""
    path = FOLDER / "experiments.json"
    records = {record["name"]: record for record in json.loads(path.read_text("utf-8"))}
    old = records.get(experiment.name, {"pictures": []})
    for name in old["pictures"]:
        (FOLDER / f"{name}.svg").unlink(missing_ok=True)
    for name, svg in book.pictures.items():
        (FOLDER / f"{name}.svg").write_text(svg, "utf-8")
    about = {"title": experiment.title, "about": experiment.about, "shows": experiment.shows}
    records[experiment.name] = {"name": experiment.name, **about, **book.as_json()}
    write(path.name, [records[each.name] for each in EXPERIMENTS if each.name in records])


def attack_record(attack: dict[str, Any]) -> dict[str, Any]:
    """What the page shows of one attack's result."""
    sent, rule, answer = attack["sent"], attack["rule"], attack["answer"]
    marked = [field for field in sent["fields"] if field["mark"]]
    return {
        "name": attack["name"],
        "title": attack["title"],
        "story": attack["story"],
        "path": f"{sent['method']} {sent['path']}",
        "size": sent["size"],
        "fields": marked[:MOST_FIELDS],
        "left_out": len(marked[MOST_FIELDS:]),
        "rule": {"rule": rule["sentence"], **{key: rule[key] for key in ("section", "function", "code")}},
        "status": answer["status"],
        "message": answer["message"],
        "expected": str(answer["details"].get("expected", "")),
        "found": str(answer["details"].get("found", "")),
    }


def protocol_html() -> str:
    """docs/protocol.md as HTML, without its title; sections and stages have ids, tables scroll."""
    text = PROTOCOL.read_text("utf-8").partition("\n")[2]
    text = re.sub(r"^Contents: .*?\n\n", "", text, flags=re.MULTILINE | re.DOTALL)
    html = MarkdownIt("commonmark").enable("table").render(text)
    html = re.sub(r"<h2>(\d+)\. ", r'<h2 id="section-\1">\1. ', html)
    html = re.sub(r"<p><strong>(\d)\. ", r'<p id="stage-\1"><strong>\1. ', html)
    number = itertools.count(1)
    scroll = '<div class="scroll" tabindex="0" role="region" aria-label="Table {}">\n<table>'
    html = re.sub("<table>", lambda _: scroll.format(next(number)), html).replace("</table>", "</table>\n</div>")
    html = html.replace("<th></th>", "<td></td>").replace("<th>", '<th scope="col">')
    html = html.replace("<pre>", '<pre class="line" tabindex="0">')
    return "{# From docs/protocol.md, by tools/lab_pages.py. #}\n{% raw %}\n" + html + "{% endraw %}\n"


def main() -> None:
    PROTOCOL_PAGE.write_text(protocol_html(), "utf-8")
    if sys.argv[1:] != ["protocol"]:
        result = run_attacks(ATTACKS, LabRun(print))
        write("attacks.json", [attack_record(attack) for attack in result["attacks"]])


if __name__ == "__main__":
    main()
