"""The leaderboard service: Starlette, SQLite in memory, and bugs that can be switched on.

The logic is tied to the request handling on purpose, as in many services: that it was never factored
for testing does not keep it from being tested.
"""

import json
import sqlite3
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.serving import Bug

BUGS = (
    Bug("duplicate-names", "missing check", "a taken name is accepted once more", 2),
    Bug("ghost-player", "missing check", "increasing the score of an unknown player creates it", 1),
    Bug("blank-names", "missing check", "a name of spaces only is accepted", 1),
    Bug("tie-order", "wrong order", "players with equal scores are listed in the order of their creation", 2),
    Bug("ignore-case", "wrong comparison", "names that differ in case only are taken for the same", 2),
    Bug("stale-list", "stale cache", "the list is kept, and not made anew when a score changes", 2),
    Bug("score-cap", "lost update", "a score never gets higher than 3", 5),
    Bug("lost-increase", "lost update", "the tenth player and those after it never score", 11),
)


class Board:
    """One leaderboard, with the bugs that are on."""

    def __init__(self, bugs: frozenset[str] = frozenset()) -> None:
        self.bugs = bugs
        self.db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.kept: list[dict[str, Any]] | None = None  # the list, where bug stale-list keeps it
        self.clear()

    def clear(self) -> None:
        """Forget all players."""
        self.kept = None
        self.db.execute("DROP TABLE IF EXISTS players")
        unique = "" if "duplicate-names" in self.bugs else "UNIQUE"
        fold = "COLLATE NOCASE" if "ignore-case" in self.bugs else ""
        self.db.execute(
            f"CREATE TABLE players (id INTEGER PRIMARY KEY, name TEXT NOT NULL {fold} {unique}, score INTEGER NOT NULL)"
        )

    def players(self) -> list[dict[str, Any]]:
        """List the players: the highest score first, ties by name."""
        if self.kept is not None:
            return self.kept
        tie = "id" if "tie-order" in self.bugs else "name COLLATE BINARY"
        rows = self.db.execute(f"SELECT name, score FROM players ORDER BY score DESC, {tie}").fetchall()
        listed = [{"name": name, "score": score} for name, score in rows]
        if "stale-list" in self.bugs:
            self.kept = listed
        return listed

    def create(self, name: Any) -> str | None:
        """Register a player; return what is wrong with the name, or None."""
        if not isinstance(name, str):
            return "name is missing"
        if not name.strip() and not ("blank-names" in self.bugs and name):
            return "name is blank"
        try:
            self.db.execute("INSERT INTO players (name, score) VALUES (?, 0)", (name,))
        except sqlite3.IntegrityError:
            return "name is taken"
        self.kept = None
        return None

    def increase(self, name: str) -> None:
        """Give a player one point, if there is one of that name."""
        if "ghost-player" in self.bugs and name.strip():
            self.db.execute("INSERT OR IGNORE INTO players (name, score) VALUES (?, 0)", (name,))
        condition = ""
        if "score-cap" in self.bugs:
            condition += " AND score < 3"
        if "lost-increase" in self.bugs:
            condition += " AND id < 10"
        self.db.execute(f"UPDATE players SET score = score + 1 WHERE name = ?{condition}", (name,))


def application(bugs: frozenset[str] = frozenset()) -> Starlette:
    """Make the service, with some bugs on."""
    board = Board(bugs)

    async def list_players(_: Request) -> Response:
        return JSONResponse(board.players())

    async def create_player(request: Request) -> Response:
        try:
            data = json.loads(await request.body())
        except ValueError:
            return JSONResponse({"error": "the body is no JSON"}, 400)
        wrong = board.create(data.get("name") if isinstance(data, dict) else None)
        return JSONResponse({"error": wrong}, 400) if wrong else JSONResponse({"name": data["name"], "score": 0}, 201)

    async def increase_score(request: Request) -> Response:
        board.increase(request.path_params["name"])
        return JSONResponse({})

    async def reset(_: Request) -> Response:
        board.clear()
        return JSONResponse({})

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/players", list_players, methods=["GET"]),
            Route("/players", create_player, methods=["POST"]),
            Route("/scores/{name:path}", increase_score, methods=["POST"]),
            Route("/reset", reset, methods=["POST"]),
            Route("/api/health", health, methods=["GET"]),
        ]
    )
