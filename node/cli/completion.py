"""`moneyer completion`: click's own, printed by a command that one finds."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print a script that completes commands in your shell.

    \b
    moneyer completion bash > ~/.local/share/bash-completion/completions/moneyer
    moneyer completion zsh > "${fpath[1]}/_moneyer"
    moneyer completion fish > ~/.config/fish/completions/moneyer.fish
    """
    from click.shell_completion import get_completion_class

    from node.cli.main import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(kind(cli, {}, "moneyer", "_MONEYER_COMPLETE").source())
