"""The court: a suite judged from Python."""

from pathlib import Path
from typing import Any

import pytest
from matrix import written

from replaykit import court
from replaykit.errors import UsageError
from replaykit.report import suite_markdown

SAID = {"model": "mortal:Tally", "adapter": "mortal:TallyApi"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"times": 0}, "can't be replayed 0 times"),
        ({"times": -1}, "can't be replayed -1 times"),
        ({"jobs": 0}, "can't have 0 jobs"),
        ({"only": ("opne",)}, "only has 'opne'"),
        ({"said": {"ulr": "http://127.0.0.1:1"}}, "said has 'ulr'"),
        ({"otherwise": {"modle": "a:B"}}, "otherwise has 'modle'"),
        ({"more": {"nope": 1}}, "more has 'nope'"),
    ],
)
def test_what_is_asked_wrongly_is_told(asked: dict[str, Any], said: str, tmp_path: Path):
    """A word that is misspelt is no reason to judge something else than was meant."""
    with pytest.raises(UsageError) as raised:
        court.run([tmp_path], **asked)

    assert said in str(raised.value)


@pytest.mark.parametrize("kind", [str, Path, lambda path: [path]])
def test_one_folder_needs_no_list(kind: Any, tmp_path: Path):
    """A path alone is that one path."""
    written(tmp_path / "tally.pd")
    docket = court.run(kind(tmp_path), offline=True, said=SAID, more={"order": "fifo"})

    assert [(str(tmp_path / "tally.pd"), "expected")] == [(each.bundle, each.outcome) for each in docket.entries]
    assert "1 as expected; 1 bundle, offline" in suite_markdown.render(docket)
