"""Draw the picture of the house from its imports; `python docs/renew.py` writes it.

The layers, their modules and the doors of the libraries are those that tests/test_house.py holds the code to, the
arrows are the imports that are really there. Modules stand in their reading order, read from the bottom up.
"""

import ast
import functools
import re
from collections import Counter
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "tests" / "test_house.py"
PACKAGE = ROOT / "replaykit"

SAID = {
    "ground": "what has nothing to do with testing: values, wire, services, repositories",
    "words": "what a user writes: commands, models, adapters, generators",
    "workshop": "one run: choose, send, record, judge, shrink; and its file",
    "exchange": "bundles for other tools, and the recordings of other tools",
    "journeys": "what is done with runs: campaigns, replays, suites, bisects; and what they report",
    "beginnings": "models before any service is asked: looked over, and written from descriptions and traffic",
    "faces": "the command line, pytest, and the public names",
}
WIDTH, GUTTER, MARGIN = 860, 190, 16  # pixels
ROW, CHIP, LETTER, PADDING, GAP = 24, 18, 6.1, 6, 4
HEAD, BETWEEN = 34, 14
MANY = 12  # modules that import another one, from which on it is drawn as what much rests on

STYLE = """
.page { fill: #fbfbfa } .band { fill: #f0f2f1; stroke: #d4dad7 } .chip { fill: #fff; stroke: #c3ccc8 }
.much { fill: #d8efe5; stroke: #0b6e4f } text { fill: #1f2a26; font-family: ui-monospace, Menlo, Consolas, monospace;
font-size: 10px } .name { font: bold 13px system-ui, sans-serif } .said, .count { font: 11px system-ui, sans-serif;
fill: #56635d } .arc { fill: none; stroke: #0b6e4f; stroke-opacity: .45 } .tip { fill: #0b6e4f } .door { fill: #9a4a00 }
@media (prefers-color-scheme: dark) { .page { fill: #16191a } .band { fill: #1e2324; stroke: #333b3c }
.chip { fill: #272d2e; stroke: #414b4c } .much { fill: #12402f; stroke: #5fd3a6 } text { fill: #dfe6e3 }
.said, .count { fill: #9fb0a8 } .arc { stroke: #5fd3a6 } .tip { fill: #5fd3a6 } .door { fill: #ffb069 } }
"""


@functools.cache
def house() -> str:
    """Read the test that keeps the house."""
    return HOUSE.read_text(encoding="utf-8")


def layers() -> dict[str, list[str]]:
    """Read the reading order, by layer, from the ground up."""
    listed = re.search(r"(?ms)^READING_ORDER = \[\n(.*?)^\]", house())
    if listed is None:
        raise ValueError(f"{HOUSE} has no READING_ORDER.")
    found: dict[str, list[str]] = {}
    for line in listed[1].splitlines():
        if line.strip().startswith("#"):
            found[line.strip(" #")] = []
        else:
            found[list(found)[-1]].append(line.strip(' ",'))
    return found


def doors() -> dict[str, list[str]]:
    """Read which libraries a module is a door of; click has as many as there are commands."""
    [table] = [
        node.value
        for node in ast.parse(house()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "DOORS"
    ]
    found: dict[str, list[str]] = {}
    for library, modules in ast.literal_eval(table).items():
        for module in modules if library != "click" else ():
            found.setdefault(module, []).append(library)
    return {module: sorted(libraries) for module, libraries in found.items()}


def path_of(module: str) -> Path:
    """Find the file of a module."""
    place = PACKAGE / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def imports(module: str, known: set[str]) -> set[str]:
    """List the modules of ours that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
        else:
            continue
        inside = [name.removeprefix("replaykit.") for name in named if name.startswith("replaykit.")]
        found |= {name for name in inside if name in known}
    return found


def arrows(order: dict[str, list[str]]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """Count the imports from each layer to each other one, and those of each module."""
    layer_of = {module: layer for layer, modules in order.items() for module in modules}
    between: Counter[tuple[str, str]] = Counter()
    of: Counter[str] = Counter()
    for module, layer in layer_of.items():
        for other in imports(module, set(layer_of)):
            of[other] += 1
            if layer != layer_of[other]:
                between[layer, layer_of[other]] += 1
    return between, of


def chips(modules: list[str], top: float, of: Counter[str]) -> tuple[list[str], float]:
    """Draw the modules of a layer in rows, as wide as they need; return them, and where they end."""
    drawn, x, y = [], float(MARGIN + 10), top
    behind = doors()
    for module in modules:
        libraries = " ".join(behind.get(module, []))
        width = LETTER * (len(module) + (len(libraries) + 1 if libraries else 0)) + 2 * PADDING
        if x + width > WIDTH - MARGIN - 10:
            x, y = MARGIN + 10, y + ROW
        kind = "much" if of[module] >= MANY else "chip"
        door = f' <tspan class="door">{escape(libraries)}</tspan>' if libraries else ""
        drawn += [
            f'<rect class="{kind}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{CHIP}" rx="4"/>',
            f'<text x="{x + PADDING:.0f}" y="{y + 12.5:.1f}">{escape(module)}{door}</text>',
        ]
        x += width + GAP
    return drawn, y + ROW


def drawn(_before: str = "") -> str:
    """Draw the picture as an SVG."""
    order = layers()
    between, of = arrows(order)
    parts, middles, y = [], {}, float(MARGIN)
    across = WIDTH - 2 * MARGIN
    for layer in reversed(order):
        inner, end = chips(order[layer], y + HEAD, of)
        parts += [
            f'<rect class="band" x="{MARGIN}" y="{y:.0f}" width="{across}" height="{end - y + 4:.0f}" rx="8"/>',
            (
                f'<text x="{MARGIN + 12}" y="{y + 21:.0f}"><tspan class="name">{layer}</tspan>'
                f'<tspan class="said" dx="10">{SAID[layer]}</tspan></text>'
            ),
            *inner,
        ]
        middles[layer] = (y, end + 4)
        y = end + 4 + BETWEEN
    parts += arcs(list(reversed(order)), between, middles)
    size = f'width="{WIDTH + GUTTER}" height="{y:.0f}" viewBox="0 0 {WIDTH + GUTTER} {y:.0f}"'
    told = ", ".join(f"{layer} ({len(modules)} modules)" for layer, modules in order.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>The layers of replaykit, from the ground up: {told}.</title>",
            f"<style>{STYLE}</style>",
            f'<rect class="page" width="{WIDTH + GUTTER}" height="{y:.0f}" rx="10"/>',
            *parts,
            "</svg>\n",
        ]
    )


def arcs(order: list[str], between: Counter[tuple[str, str]], places: dict[str, tuple[float, float]]) -> list[str]:
    """Draw an arrow from each layer to each lower one that it imports from, as thick as there are imports."""
    made = []
    ends = {
        layer: [pair for pair in sorted(between, key=lambda pair: far(order, pair)) if layer in pair] for layer in order
    }
    for pair in sorted(between, key=lambda pair: far(order, pair)):
        above, below = ((slot(places[layer], ends[layer], pair)) for layer in pair)
        edge = WIDTH - MARGIN
        reach = edge + 26 + 30 * (far(order, pair) - 1)
        thick = 1 + min(between[pair], 300) / 40
        made += [
            (
                f'<path class="arc" stroke-width="{thick:.1f}" d="M{edge} {above:.0f} C{reach} {above:.0f} {reach} '
                f'{below:.0f} {edge + 7} {below:.0f}"/>'
            ),
            f'<path class="tip" d="M{edge} {below:.0f} l9 -4 v8 z"/>',
            (
                f'<text class="count" x="{edge + (reach - edge) * 0.75 + 5:.0f}" y="{(above + below) / 2 + 4:.0f}">'
                f"{between[pair]}</text>"
            ),
        ]
    return made


def far(order: list[str], pair: tuple[str, str]) -> int:
    """Count the layers from one to another, which is lower."""
    return order.index(pair[1]) - order.index(pair[0])


def slot(place: tuple[float, float], pairs: list[tuple[str, str]], pair: tuple[str, str]) -> float:
    """Say at which height an arrow meets a layer: those that arrive do so above those that leave."""
    top, bottom = place
    common = set(pairs[0]).intersection(*pairs)
    ordered = sorted(pairs, key=lambda each: (each[0] in common, pairs.index(each)))
    return top + (bottom - top) * (ordered.index(pair) + 1) / (len(ordered) + 1)
