"""What honcho is told to start."""

from __future__ import annotations

import shlex
from pathlib import Path

from honcho.environ import parse_procfile

from moneyer.node.devnet.procfile import arguments, commands, render, repository_procfile, this_moneyer
from tests.conftest import REPOSITORY


def test_the_repositorys_procfile_is_the_one_that_the_code_makes() -> None:
    assert (REPOSITORY / "Procfile").read_text() == repository_procfile()


def test_it_starts_three_manual_nodes_and_their_workers() -> None:
    processes = parse_procfile(repository_procfile()).processes
    assert list(processes) == ["node1", "node2", "node3", "worker1", "worker2", "worker3"]
    for number in (1, 2, 3):
        words = shlex.split(processes[f"node{number}"])
        assert words[words.index("--port") + 1] == str(5000 + number)
        assert {"--manual", "--dev"} <= set(words)
        worker = shlex.split(processes[f"worker{number}"])
        assert worker[worker.index("--data") + 1] == words[words.index("--data") + 1] == f"data/node{number}"


def test_every_line_begins_with_exec() -> None:
    for processes in (commands(arguments(Path("data"))), parse_procfile(repository_procfile()).processes):
        assert all(command.startswith("exec ") for command in processes.values())


def test_a_folder_with_spaces_and_quotes_stays_one_word() -> None:
    data = Path("/home/me/It's my coin; echo $HOME")
    for name, command in parse_procfile(render(commands(arguments(data, nodes=1)))).processes.items():
        assert str(data / "node1") in shlex.split(command), name


def test_without_manual_the_nodes_are_left_to_gossip() -> None:
    assert not any("--manual" in command for command in arguments(Path("data"), manual=False).values())


def test_a_network_is_started_by_the_installation_that_makes_it() -> None:
    assert Path(shlex.split(this_moneyer())[0]).is_absolute()
