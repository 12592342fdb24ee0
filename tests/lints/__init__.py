"""Models with one mistake each, and their twins without it."""
