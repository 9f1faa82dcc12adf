"""``rmqwork completion``: the script that completes this command in a shell."""

from __future__ import annotations

import click

from rmqwork.errors import ConfigurationError


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash: eval "$(rmqwork completion bash)" in ~/.bashrc
    zsh:  eval "$(rmqwork completion zsh)" in ~/.zshrc, after compinit
    fish: rmqwork completion fish > ~/.config/fish/completions/rmqwork.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise ConfigurationError(f"this version of click cannot complete in {shell}; upgrade it")
    program = context.find_root().command
    click.echo(kind(program, {}, "rmqwork", "_RMQWORK_COMPLETE").source())
