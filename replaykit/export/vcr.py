"""A plain cassette, as vcrpy writes it: block YAML, and nothing of ours in it.

Its shape is that of vcrpy 1 to 9 (version 1): header values in a list for each name, bodies as text where they are
UTF-8. A request without a whole answer has no place in it.
"""

from replaykit import yaml
from replaykit.bundle import Bundle
from replaykit.interaction import Headers, Interaction
from replaykit.notation import ascii_text


def render(bundle: Bundle) -> str:
    """Return the cassette."""
    items = [_item(each) for each in bundle.trace.interactions() if _is_sayable(each)]
    return yaml.dump({"interactions": items, "version": 1})


def left_out(bundle: Bundle) -> str:
    """Say how many requests are not whole, or got no whole answer."""
    lost = sum(not _is_sayable(each) for each in bundle.trace.interactions())
    said = f"{lost} of the requests got no whole answer, or were not kept whole; a cassette has no room for that."
    return said if lost else ""


def _is_sayable(interaction: Interaction) -> bool:
    request, response = interaction.request, interaction.response
    is_whole = response is not None and response.complete and response.cut is None and request.cut is None
    return is_whole and interaction.trouble is None


def _item(interaction: Interaction) -> dict[str, object]:
    request, response = interaction.request, interaction.response
    assert response is not None  # noqa: S101  the others were left out
    return {
        "request": {
            "method": request.method,
            "uri": request.url,
            "body": _body(request.body) if request.body else None,
            "headers": _grouped(request.headers),
        },
        "response": {
            "status": {"code": response.status, "message": ascii_text(response.reason)},
            "headers": _grouped(response.headers),
            "body": {"string": _body(response.body)},
        },
    }


def _body(body: bytes) -> str | bytes:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body


def _grouped(headers: Headers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name, value in headers:
        grouped.setdefault(ascii_text(name), []).append(ascii_text(value))
    return grouped
