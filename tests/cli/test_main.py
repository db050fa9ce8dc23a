"""The command line as a whole: quick, and every failure is a sentence and an exit status."""

from __future__ import annotations

import socket
import subprocess
import sys
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from moneyer import __version__
from moneyer.node.cli import main as cli_main
from moneyer.node.cli.main import COMMANDS, cli
from moneyer.node.core.errors import MoneyerError
from moneyer.worker import config as worker_config
from moneyer.worker.engines import registry as worker_engines
from tests.kit.commands import environment, moneyer, refusal

HEAVY = [
    "sqlalchemy",
    "alembic",
    "granian",
    "bottle",
    "requests",
    "rich",
    "honcho",
    "msgspec",
    "cryptography",
    "mnemonic",
]


def test_version() -> None:
    done = moneyer("--version")
    assert (done.returncode, done.stdout) == (0, f"moneyer {__version__}\n")


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = f"""
import sys
from moneyer.node.cli.main import run
status = run(["--help"])
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
sys.exit(status)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    for name in COMMANDS:
        assert f"  {name} " in done.stdout


def test_the_modules_of_commands_load_nothing_heavy_either() -> None:
    heavy = [*HEAVY, "btclib_secp256k1", "http.client", "moneyer.node.client.client"]
    program = f"""
import sys
import click
from moneyer.node.cli.main import COMMANDS, cli
with click.Context(cli) as context:
    for name in COMMANDS:
        assert cli.get_command(context, name)
print([name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def all_commands() -> list[tuple[str, click.Command]]:
    with click.Context(cli) as ctx:
        top = [(name, cli.get_command(ctx, name)) for name in cli.list_commands(ctx)]
    found: list[tuple[str, click.Command]] = []
    for name, command in top:
        assert command is not None
        found.append((name, command))
        if isinstance(command, click.Group):
            found += [(f"{name} {sub}", each) for sub, each in command.commands.items()]
    return found


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_every_command_has_help_and_every_option_says_what_it_does(name: str, command: click.Command) -> None:
    assert command.help, name
    assert "…" not in command.get_short_help_str(60), f"{name}: the first sentence is too long for the list of commands"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help or parameter.show_default, (name, parameter.name)
            assert parameter.show_envvar, (name, parameter.name)
            # The variable is made of the name: it must be the one that people know.
            assert f"--{parameter.name.replace('_', '-')}" in parameter.opts, (name, parameter.name)


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_every_command_shows_an_example(name: str, command: click.Command) -> None:
    if not isinstance(command, click.Group):
        assert command.help is not None
        assert f"\nmoneyer {name}" in cleandoc(command.help), name  # Python 3.13 takes the indentation away itself


@pytest.mark.parametrize("name", ["", *(name for name, _ in all_commands())])
def test_the_help_fits_a_terminal_of_80_columns(name: str) -> None:
    shown = CliRunner().invoke(cli, [*name.split(), "--help"], prog_name="moneyer", env={"COLUMNS": "80"})
    assert shown.exit_code == 0
    assert [line for line in shown.output.splitlines() if len(line) > 80] == []


def test_the_help_of_a_worker_names_every_engine() -> None:
    assert tuple(worker_engines.ENGINES) == worker_config.ENGINES


def test_the_list_of_commands_says_what_each_says_of_itself() -> None:
    for name, (_, sentence) in COMMANDS.items():
        with click.Context(cli) as ctx:
            command = cli.get_command(ctx, name)
        assert command is not None
        assert command.help is not None
        assert command.help.splitlines()[0] == sentence


@pytest.mark.parametrize(("name", "command"), all_commands())
def test_what_a_command_tells_it_tells_programs_too(name: str, command: click.Command) -> None:
    # These run on, print a script, or only say that it is done.
    silent = {"up", "node", "worker", "stratum", "completion", "wallet rename", "wallet passphrase"}
    silent |= {"net up", "net worker"}
    if isinstance(command, click.Group):
        return
    assert name in silent or any("--json" in parameter.opts for parameter in command.params), name


def test_a_mistyped_command_gets_the_nearest_one() -> None:
    assert "did you mean balance?" in refusal(moneyer("balence"), 2)


def test_every_option_can_be_an_environment_variable(tmp_path: Path) -> None:
    done = moneyer("verify", env={"MONEYER_VERIFY_DATA": str(tmp_path)})
    assert str(tmp_path) in refusal(done)
    assert "[env var: MONEYER_NODE_PORT" in moneyer("node", "--help").stdout


@pytest.mark.parametrize(
    "arguments",
    [("mint",), ("node",), ("node", "--data"), ("node", "--data", "x", "--port", "70000"), ("up", "--nodes", "0")],
)
def test_a_wrong_use_is_status_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = moneyer(*arguments, cwd=tmp_path)
    assert "Error:" in refusal(done, 2)
    assert list(tmp_path.iterdir()) == []


def test_a_node_that_is_not_there_is_a_sentence_that_says_what_to_do() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        said = refusal(moneyer("status", "--node", url))
    assert url in said
    assert "moneyer up" in said


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://", "ftp://x", "http://[::1"])
def test_what_is_no_address_of_a_node_is_refused(url: str) -> None:
    assert "no address of a node" in refusal(moneyer("status", "--node", url), 2)


class Refusal(MoneyerError):
    pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refusal("the coin is gone"), "moneyer: the coin is gone\n"),
        (
            FileNotFoundError(2, "No such file or directory", "coin.toml"),
            "moneyer: coin.toml: No such file or directory\n",
        ),
        (OSError(28, "No space left on device"), "moneyer: No space left on device\n"),
        (ZeroDivisionError("division by zero"), "this is a bug in moneyer (ZeroDivisionError: division by zero)"),
        (KeyboardInterrupt(), "moneyer: stopped\n"),
    ],
)
def test_a_failure_becomes_one_sentence(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    broken = click.Command("broken", callback=fail)
    monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda _self, _ctx, _name: broken)
    monkeypatch.delenv("MONEYER_DEBUG", raising=False)
    assert cli_main.run(["broken"]) == 1
    heard = capsys.readouterr()
    assert said in heard.err.lstrip()
    assert len(heard.err.strip().splitlines()) == 1
    assert "Traceback" not in heard.err


def test_a_reader_that_went_away_is_no_traceback() -> None:
    command = f"{sys.executable} -m moneyer node --help | true"
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    assert done.stderr == ""


def test_a_node_without_a_coin_says_how_to_get_one(tmp_path: Path) -> None:
    said = refusal(moneyer("node", "--data", tmp_path / "node"))
    assert "--coin FILE" in said
    missing = refusal(moneyer("node", "--data", tmp_path / "node", "--coin", tmp_path / "beach.toml"))
    assert "beach.toml" in missing


def test_a_development_node_is_not_opened_to_others(tmp_path: Path) -> None:
    said = refusal(moneyer("node", "--data", tmp_path / "node", "--dev", "--host", "0.0.0.0"), 2)
    assert "--dev" in said
    assert not (tmp_path / "node").exists()
