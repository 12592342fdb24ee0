"""replaykit completion: what lets a shell complete command lines.

The shell asks the program itself, with a variable in the environment, what may follow: click has that for four shells.
Its script for bash is another one here: click's takes the words as bash breaks them, and bash breaks at colons and
equals signs, so that no `module:Class` could be completed.
"""

import os
import re
from pathlib import Path
from typing import ClassVar, NamedTuple

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    PowerShellComplete,
    add_completion_class,
    get_completion_class,
    shell_complete,
)

from replaykit.cli.console import note, say
from replaykit.cli.page import command
from replaykit.document import Document
from replaykit.errors import ReplaykitError, UsageError

ASKS = "_REPLAYKIT_COMPLETE"  # the variable by which a shell asks
NAME = "replaykit"

_BASH = """\
%(complete_func)s() {
    local line response
    COMPREPLY=()
    response=$(env COMP_TYPED="${COMP_LINE:0:$COMP_POINT}" COMP_BREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    while IFS= read -r line; do
        case ${line%%%%,*} in
            plain) COMPREPLY+=("${line#*,}") ;;
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
        typed = _typed()
        return typed.words[1:], typed.last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """List what may follow, quoted as the word is; without what bash takes for another word, and keeps."""
        typed = _typed()
        option, equals, _ = incomplete.partition("=")
        before = option + equals if equals and option.startswith("-") else ""
        return [
            CompletionItem(_quoted((before + each.value).removeprefix(typed.kept), typed.quote), each.type, each.help)
            for each in super().get_completions(args, incomplete)
        ]


class _Typed(NamedTuple):
    """A line for bash, as far as it is typed."""

    words: list[str]  # that are complete
    last: str  # the one that is not
    kept: str  # the beginning of it that bash does not replace
    quote: str  # that is open at the end; or nothing


def _typed() -> _Typed:
    """Read the line that bash asks about."""
    breaks = os.environ.get("COMP_BREAKS", "")
    words: list[str] = []
    word: str | None = None
    kept, earlier, quote = "", "", ""
    signs = iter(os.environ.get("COMP_TYPED", ""))
    for sign in signs:
        before = word or ""
        if sign == "\\" and quote != "'":
            escaped = next(signs, "")
            word = before + (escaped if not quote or escaped in '\\$`"' else sign + escaped)
        elif sign == quote:
            quote, kept = "", earlier
        elif quote:
            word = before + sign
        elif sign in {"'", '"'}:
            word, quote, earlier, kept = before, sign, kept, before
        elif not sign.isspace():
            word = before + sign
            kept = word if sign in breaks else kept
        elif word is not None:
            words.append(word)
            word, kept = None, ""
    return _Typed(words, word or "", kept, quote)


def _quoted(value: str, quote: str) -> str:
    """Write a value as bash reads it within a quote that is open, or in none."""
    if quote == "'":
        return value.replace("'", r"'\''")
    if quote:  # in double quotes, a backslash before an exclamation mark would be a part of the name
        return re.sub(r'[\\$`"]', r"\\\g<0>", value).replace("!", "\"'!'\"")
    return re.sub(r"[^\w@%+=:,./-]", r"\\\g<0>", value)


class PowerShell(PowerShellComplete):
    """Completion for PowerShell, which takes a value as it is: what is no plain word is quoted."""

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Write the three lines of an item."""
        value = item.value
        if item.type == "plain" and not _PLAIN.fullmatch(value):
            value = "'" + _SINGLE.sub(r"\g<0>\g<0>", value) + "'"
        return super().format_completion(CompletionItem(value, item.type, item.help))


_PLAIN = re.compile(r"[\w./:\\=-]+")
_SINGLE = re.compile("['\u2018-\u201b]")  # PowerShell takes each of them for a quote

add_completion_class(Bash)
add_completion_class(PowerShell)

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
