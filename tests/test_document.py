"""Documents: JSON that is read as it was meant, and that no runner obeys."""

import json
from collections.abc import Callable

import pytest

from replaykit import inventory, portrait, ruling
from replaykit.account import Account
from replaykit.docket import Docket
from replaykit.document import json_text
from replaykit.inventory import Inventory
from replaykit.pair import Pair
from replaykit.portrait import Portrait
from replaykit.report import json as report_json
from replaykit.report import ndjson, pair, recheck, suite_json
from replaykit.report.ndjson import Began
from replaykit.ruling import Rulings

ORDERS = "##[error]a ##vso[task.complete] ##teamcity[buildStop] ### #\n::error::\x1b\u4e2d"


@pytest.mark.parametrize("indent", [None, 2])
def test_what_is_written_is_read_again(indent: int | None):
    """No order of any runner stands in the text, in keys neither; what is read is what was said."""
    data = {ORDERS: [ORDERS, {"#": "#"}]}
    text = json_text(data, indent=indent)

    assert "##" not in text
    assert text.isascii()
    assert "\n::" not in text
    assert data == json.loads(text)


@pytest.mark.parametrize(
    "write",
    [
        lambda: ruling.render(Rulings.model_construct(tool=ORDERS)),
        lambda: pair.as_json(Pair.model_construct(tool=ORDERS)),
        lambda: recheck.render([recheck.Row.model_construct(bundle=ORDERS)], 0),
        lambda: inventory.render(Inventory.model_construct(lacking=(ORDERS,))),
        lambda: portrait.render(Portrait.model_construct(reason=ORDERS)),
        lambda: suite_json.render(Docket.model_construct(tool=ORDERS)),
        lambda: report_json.render(Account.model_construct(model=ORDERS)),
        lambda: ndjson.line(Began.model_construct(time=ORDERS)),
    ],
    ids=["replay", "diff", "recheck", "list", "show", "suite", "integration", "ndjson"],
)
def test_no_document_orders_a_runner_about(write: Callable[[], str]):
    """Whatever a bundle or a service says, GitHub, Azure and TeamCity obey nothing in what --json prints."""
    text = write()

    assert "##" not in text
    assert json.dumps(ORDERS).replace("##", "#\\u0023") in text
