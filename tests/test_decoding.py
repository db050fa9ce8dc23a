"""Types of JSON are looked at by msgspec while their module is imported: later, two threads could end the process."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.conftest import REPOSITORY
from tests.test_rooms import FILES, name_of

GIVEN = {"kind", "shape"}
"""Names of parameters: the type is the caller's, who prepares it."""

RACE = """
import sys, threading
import msgspec
from moneyer.node.system.decoding import prepare

sys.setswitchinterval(1e-6)
raw = msgspec.json.encode({**{f"f{n}": n for n in range(12)}, "inner": {"a": [1]}})
for number in range(200):
    inner = msgspec.defstruct(f"Inner{number}", [("a", list[int])])
    outer = msgspec.defstruct(f"Outer{number}", [*((f"f{n}", int) for n in range(12)), ("inner", inner)])
    prepare(outer)
    together = threading.Barrier(4)
    def decode():
        together.wait()
        msgspec.json.decode(raw, type=outer)
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def decoded_types(tree: ast.Module) -> set[str]:
    """The names after `type=` of `msgspec.json.decode`, and the second arguments of `msgspec.convert`."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            given = [word.value for word in node.keywords if word.arg == "type"]
            if node.func.attr == "convert" and len(node.args) > 1:
                given.append(node.args[1])
            if node.func.attr in ("decode", "convert"):
                found.update(each.id for each in given if isinstance(each, ast.Name))
    return found - GIVEN


def prepared_types(tree: ast.Module) -> set[str]:
    """The names that `prepare` is called with below no function."""
    calls = [each.value for each in tree.body if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)]
    return {
        argument.id
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "prepare"
        for argument in call.args
        if isinstance(argument, ast.Name)
    }


def test_every_type_that_is_decoded_is_prepared_where_its_module_is_imported() -> None:
    forgotten = {}
    for path in FILES:
        tree = ast.parse(path.read_text("utf-8"))
        if missing := decoded_types(tree) - prepared_types(tree):
            forgotten[name_of(path)] = missing
    assert forgotten == {}


def test_threads_may_decode_a_type_at_once_when_it_was_prepared() -> None:
    """Without `prepare` this ends by a segmentation fault. In a process of its own, since it may."""
    done = subprocess.run([sys.executable, "-c", RACE], cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
