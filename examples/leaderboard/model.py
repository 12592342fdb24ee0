"""What the leaderboard should do."""

from typing import Annotated, ClassVar

from replaykit import Command, Event, Model, Observation, check, expects, gen, invariant, on, same

# At most twenty names in a run, so that they meet again. Some are very short, so that they nearly meet, and
# some are blank.
Name = Annotated[
    str,
    gen.pool(
        gen.frequency(
            (7, gen.text(gen.letters(" "), max_size=6)),
            (2, gen.text("aAbB", max_size=2)),
            (1, gen.text(" ", max_size=2)),
        ),
        size=20,
    ),
]


class CreatePlayer(Command, weight=2):
    """Register a player."""

    name: Name


class IncreaseScore(Command, weight=3):
    """Give a player one point."""

    name: Name


class PlayerCreated(Event):
    """The player is registered, with no points."""

    name: str


class PlayerRejected(Event):
    """The player is not registered."""

    status: int


class ScoreIncreased(Event):
    """The request was taken, whether the player is known or not."""

    name: str


class Board(Observation):
    """All players with their scores, as the service lists them."""

    rows: list[tuple[str, int]]


class Leaderboard(Model):
    """Players have unique names that are not blank; the list is sorted by score, then by name."""

    commands: ClassVar = (CreatePlayer, IncreaseScore)
    scores: dict[str, int] = {}

    @expects
    def create(self, cmd: CreatePlayer) -> PlayerCreated | PlayerRejected:
        if not cmd.name.strip() or cmd.name in self.scores:
            return PlayerRejected(status=400)
        return PlayerCreated(name=cmd.name)

    @expects
    def increase(self, cmd: IncreaseScore) -> ScoreIncreased:
        return ScoreIncreased(name=cmd.name)

    @on
    def created(self, event: PlayerCreated) -> None:
        self.scores[event.name] = 0

    @on
    def increased(self, event: ScoreIncreased) -> None:
        if event.name in self.scores:
            self.scores[event.name] += 1

    @invariant
    def scores_are_never_negative(self) -> None:
        assert all(score >= 0 for score in self.scores.values())

    @check
    def board_matches(self, board: Board) -> None:
        same(board.rows, sorted(self.scores.items(), key=lambda row: (-row[1], row[0])))
