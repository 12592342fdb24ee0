"""The version of replaykit, and of the bundle format that it writes."""

__version__ = "0.1.0"

BUNDLE_FORMAT = 1
