"""The corpus: bundles worth keeping, replayed offline for ever."""

from pathlib import Path

import pytest
from conftest import ROOT, replaykit

CORPUS = sorted((ROOT / "failures").glob("*.pd"))


@pytest.mark.parametrize("bundle", CORPUS, ids=lambda path: path.name)
def test_saved_bug_reproduces_from_its_own_cassette(bundle: Path):
    """Each bundle of the corpus, replayed offline, still shows its bug."""
    ran = replaykit("replay", bundle, "--offline")

    assert 1 == ran.code, ran


def test_corpus_is_not_empty():
    """There is a corpus."""
    assert len(CORPUS) >= 3
