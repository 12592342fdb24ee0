"""How the leaderboard is spoken to."""

from urllib.parse import quote

from examples.leaderboard.model import (
    Board,
    CreatePlayer,
    IncreaseScore,
    Leaderboard,
    PlayerCreated,
    PlayerRejected,
    ScoreIncreased,
)
from replaykit import Adapter, handles, observes


class LeaderboardApi(Adapter[Leaderboard]):
    """The leaderboard over HTTP."""

    timeout = 5.0

    def reset(self) -> None:
        self.http.post("/reset").raise_for_status()

    @handles
    def create(self, cmd: CreatePlayer) -> PlayerCreated | PlayerRejected:
        answer = self.http.post("/players", json={"name": cmd.name})
        return PlayerRejected(status=answer.status_code) if answer.is_error else PlayerCreated(name=cmd.name)

    @handles
    def increase(self, cmd: IncreaseScore) -> ScoreIncreased:
        self.http.post(f"/scores/{quote(cmd.name, safe='')}").raise_for_status()
        return ScoreIncreased(name=cmd.name)

    @observes
    def board(self) -> Board:
        return Board(rows=[(row["name"], row["score"]) for row in self.http.get("/players").json()])
