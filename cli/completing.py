"""`offerlift completion`: the script by which a shell completes commands, options and experiments."""

from __future__ import annotations

import click

__all__ = ["completion"]

INSTALL = {
    "bash": 'Add to ~/.bashrc: eval "$(offerlift completion bash)"',
    "zsh": 'Add to ~/.zshrc: eval "$(offerlift completion zsh)"',
    "fish": "Run once: offerlift completion fish > ~/.config/fish/completions/offerlift.fish",
}


@click.command(epilog="Example: offerlift completion bash > offerlift.bash")
@click.argument("shell", type=click.Choice(list(INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands.

    How it is installed is said on standard error.
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click completes for each of them"
    click.echo(found(context.find_root().command, {}, "offerlift", "_OFFERLIFT_COMPLETE").source())
    click.echo(INSTALL[shell], err=True)
