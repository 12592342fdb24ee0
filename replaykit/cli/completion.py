"""replaykit completion: what lets a shell complete command lines.

The shell asks the program itself, with a variable in the environment, what may follow: click has that for four shells.
Its script for bash is another one here: click's takes the words as bash breaks them, and bash breaks at colons and
equals signs, so that no `module:Class` could be completed.
"""

import os
from pathlib import Path
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    add_completion_class,
    get_completion_class,
    shell_complete,
    split_arg_string,
)

from replaykit.cli.console import note, say
from replaykit.cli.page import command
from replaykit.document import Document
from replaykit.errors import ReplaykitError, UsageError

ASKS = "_REPLAYKIT_COMPLETE"  # the variable by which a shell asks
NAME = "replaykit"

_BASH = """\
%(complete_func)s() {
    local type value response
    COMPREPLY=()
    response=$(env COMP_TYPED="${COMP_LINE:0:$COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$(printf %%q "$value")") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done <<< "$response"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class Bash(BashComplete):
    """Completion for bash, 4.4 or later: the line is read as it is typed, not as bash breaks it."""

    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words that are complete, and the one that is not."""
        line = os.environ.get("COMP_TYPED", "")
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1:].isspace() else (words[:-1], words[-1])

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """List what may follow; without what bash takes for another word, and keeps."""
        found = super().get_completions(args, incomplete)
        typed = incomplete.partition("=")[2] if incomplete.startswith("-") else incomplete
        kept = typed[: typed.rfind(":") + 1] if ":" in os.environ.get("COMP_BREAKS", "") else ""
        return [CompletionItem(each.value.removeprefix(kept), each.type, each.help) for each in found]


add_completion_class(Bash)

PLACES = {  # where a script is written: in the folder that the variable names, or else in that below the home folder
    "bash": ("XDG_DATA_HOME", ".local/share", "bash-completion/completions/replaykit"),
    "zsh": ("XDG_DATA_HOME", ".local/share", "zsh/site-functions/_replaykit"),
    "fish": ("XDG_CONFIG_HOME", ".config", "fish/completions/replaykit.fish"),
    "powershell": ("XDG_CONFIG_HOME", ".config", "powershell/replaykit.ps1"),
}
TODO = {  # what a person does then
    "bash": "New shells find it where the package bash-completion is installed; else add to ~/.bashrc: . {path}",
    "zsh": "Add to ~/.zshrc, above compinit: fpath=({folder} $fpath)",
    "fish": "New shells find it.",
    "powershell": "Add to the file $PROFILE: . {path}",
}
AT_ONCE = {  # how a shell that runs takes the script
    "bash": 'eval "$(replaykit completion bash)"',
    "zsh": 'eval "$(replaykit completion zsh)", below compinit',
    "fish": "replaykit completion fish | source",
    "powershell": "replaykit completion powershell | Out-String | Invoke-Expression",
}


def answer(program: click.Command, question: str) -> int:
    """Print what a shell asks for, which is nothing where that can't be said."""
    try:
        return shell_complete(program, {}, NAME, ASKS, question)
    except (click.ClickException, ReplaykitError, KeyError, ValueError):  # the last two: of its variables
        return 1


@command("completion")
@click.argument("shell", type=click.Choice([*PLACES]))
@click.option("--install", is_flag=True, help="Write it where the shell looks for it, instead of printing it.")
@click.pass_context
def completion(context: click.Context, /, shell: str, *, install: bool) -> int:
    """Print the script that lets a shell complete commands, options, and their values: saved bugs, profiles, classes.

    It asks the program what may follow, so there is nothing to do again when replaykit is updated.
    """
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101  it is one of those that may be chosen
    script = found(context.find_root().command, {}, NAME, ASKS).source()
    path = _place(shell)
    if not install:
        say(script.rstrip("\n"))
        note(f"# In a shell that runs: {AT_ONCE[shell]}. For all: replaykit completion {shell} --install")
        return 0
    written = Document(str(path))
    written.write(script)
    if written.trouble is not None:
        raise written.trouble
    say(f"Written: {path}")
    note(TODO[shell].format(path=path, folder=path.parent))
    return 0


def _place(shell: str) -> Path:
    """Return where the script of a shell is written. Raises UsageError."""
    variable, usual, name = PLACES[shell]
    said = Path(os.environ.get(variable) or "")
    try:
        return (said if said.is_absolute() else Path.home() / usual) / name
    except RuntimeError:
        raise UsageError("There is no home directory to write to.", f"Set {variable}.") from None
