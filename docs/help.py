"""Write the help texts of the program into reference/cli.md, where each has its place below a comment.

python docs/help.py
"""

import re
import sys
from pathlib import Path

import click

from replaykit.cli.app import commands
from replaykit.document import Document

PAGE = Path(__file__).parent / "reference" / "cli.md"
BLOCK = re.compile(r"(?ms)^<!-- help: ?([\w-]*) ?-->\n+```text\n.*?^```$")
WIDTH = 80  # columns


def help_of(name: str) -> str:
    """Return the help of a command; that of the program for an empty name."""
    top = click.Context(commands, info_name="replaykit", terminal_width=WIDTH, **commands.context_settings)
    if not name:
        return commands.get_help(top)
    command = commands.commands[name]
    return command.get_help(click.Context(command, info_name=name, parent=top))


def filled(page: str) -> str:
    """Return a page with the help texts of today; a command that it lacks gets a section at its end."""
    lacking = [name for name in commands.commands if f"<!-- help: {name} -->" not in page]
    for name in lacking:
        page += f"\n## {name}\n\n<!-- help: {name} -->\n\n```text\n```\n"
    return BLOCK.sub(lambda block: f"<!-- help: {block[1]} -->\n\n```text\n{help_of(block[1])}\n```", page)


if __name__ == "__main__":
    written = Document(str(PAGE))
    written.write(filled(PAGE.read_text(encoding="utf-8")))
    sys.exit(0 if written.trouble is None else str(written.trouble))
