"""The leaderboard of the rackcheck document: three endpoints, SQLite in memory, and bugs to switch on."""

from examples.leaderboard.adapter import LeaderboardApi
from examples.leaderboard.model import Leaderboard

__all__ = ["Leaderboard", "LeaderboardApi"]
