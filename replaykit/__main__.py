"""python -m replaykit."""

from replaykit.cli import entry

if __name__ == "__main__":
    entry()
