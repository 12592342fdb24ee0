"""The README's picture of the terminal: what replaykit prints, run for real and drawn as SVG.

    python docs/picture.py

A bug is found, shrunk, saved, and replayed against a service without it and without any service. The picture is drawn
anew only where something else than numbers is printed, so that the times of a machine make no difference.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "_static" / "demo.svg"
COLUMNS = 100
WIDTH, HEIGHT = 12.2, 24.4  # of a character, as rich draws it

PROFILE = """
[tool.replaykit]
profile = "leaderboard"

[tool.replaykit.profiles.leaderboard]
model = "examples.leaderboard:Leaderboard"
adapter = "examples.leaderboard:LeaderboardApi"
start = "python -m examples.leaderboard --port {port} --bug duplicate-names"
"""
BUNDLE = "found/create-037acf80.pd"
COMMANDS = (
    "replaykit integration --seed 1 --stop-on-fail --save-failures found",
    f'replaykit replay {BUNDLE} --start "python -m examples.leaderboard --port {{port}}"',
    f"replaykit replay {BUNDLE} --offline",
)

# the background is its own, so that it reads on a light page as on a dark one; contrast is 4.5 or more
THEME = TerminalTheme(
    (22, 27, 34),
    (230, 237, 243),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255), (86, 212, 221),
     (177, 186, 196)],
)  # fmt: skip

FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" role="img" xmlns="http://www.w3.org/2000/svg">
<title>replaykit finds a bug, shrinks it to two commands, saves it, and replays it</title>
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def printed(folder: Path) -> str:
    """Run the commands in an empty folder; return them with all that they print, with its colours."""
    shutil.copytree(ROOT / "examples" / "leaderboard", folder / "examples" / "leaderboard")
    for module in (ROOT / "examples").glob("*.py"):
        shutil.copy(module, folder / "examples")
    (folder / "pyproject.toml").write_text(PROFILE, encoding="utf-8")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("REPLAYKIT_", "GITHUB_", "NO_COLOR"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
    own = {"PATH": path, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    said: list[str] = []
    for command in COMMANDS:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env={**kept, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        said.append(f"\x1b[1m$ {command}\x1b[0m\n{done.stdout.rstrip()}\n")
    return "\n".join(said)


def drawn(text: str) -> str:
    """Draw what a terminal shows of a text."""
    console = Console(
        record=True, width=COLUMNS, file=StringIO(), force_terminal=True, highlight=False, legacy_windows=False
    )
    console.print(Text.from_ansi(text), soft_wrap=False)
    svg = console.export_svg(title="", theme=THEME, code_format=FORMAT, unique_id="demo", font_aspect_ratio=0.61)
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def shown(svg: str) -> list[str]:
    """Read the lines of a picture from where its words stand."""
    lines: dict[int, list[tuple[int, str]]] = {}
    for x, y, words in re.findall(r'<text class="demo-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        lines.setdefault(round(float(y) / HEIGHT), []).append((round(float(x) / WIDTH), _plain(words)))
    rows = [""] * (max(lines) + 1)
    for number, placed in lines.items():
        for column, words in placed:
            rows[number] = rows[number].ljust(column) + words
    return [row.rstrip() for row in rows]


def _plain(words: str) -> str:
    return unescape(words).replace("\xa0", " ")


def without_numbers(svg: str) -> list[str]:
    """Return the lines of a picture without what depends on the machine; where they break depends on it too."""
    return re.sub(r"\d+(\.\d+)?", "0", " ".join(shown(svg))).split()


def main() -> None:
    """Draw the picture, if it would be another one."""
    with tempfile.TemporaryDirectory() as folder:
        svg = drawn(printed(Path(folder)))
    if not PICTURE.exists() or without_numbers(PICTURE.read_text(encoding="utf-8")) != without_numbers(svg):
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
