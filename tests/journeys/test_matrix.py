"""The matrix of verdicts and exit codes: each cell of the page is what happens, and none is wrong."""

from pathlib import Path

import pytest
from matrix import SITUATIONS, Situation, happened, rows


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.name)
def test_cell(situation: Situation, tmp_path: Path):
    """What happens is what the page says, and nothing but the bug itself, there or gone, is 1 or 0."""
    cell = happened(situation, tmp_path)

    assert rows()[situation.name] == cell
    assert cell.code in situation.codes


def test_the_page_has_all_situations_and_no_others():
    """The table has a row for each situation: python tests/matrix.py writes it."""
    assert [each.name for each in SITUATIONS] == list(rows())
