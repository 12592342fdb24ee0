"""A plain cassette, as vcrpy writes it: block YAML, and nothing of ours in it.

Its shape is that of vcrpy 1 to 9 (version 1): header values in a list for each name, bodies as text where they are
UTF-8. A request without an answer has no place in it.
"""

from replaykit import yaml
from replaykit.bundle import Bundle
from replaykit.interaction import Headers, Interaction


def render(bundle: Bundle) -> str:
    """Return the cassette."""
    items = [_item(each) for each in bundle.trace.interactions() if _is_sayable(each)]
    return yaml.dump({"interactions": items, "version": 1})


def left_out(bundle: Bundle) -> str:
    """Say how many requests got no whole answer."""
    lost = sum(not _is_sayable(each) for each in bundle.trace.interactions())
    return f"{lost} of the requests got no whole answer; a cassette has no room for that." if lost else ""


def _is_sayable(interaction: Interaction) -> bool:
    return interaction.response is not None and interaction.trouble is None


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
            "status": {"code": response.status, "message": _ascii(response.reason)},
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
        grouped.setdefault(_ascii(name), []).append(_ascii(value))
    return grouped


def _ascii(text: str) -> str:
    """Escape what vcrpy can record and not play (it knows headers in ASCII alone)."""
    return text if text.isascii() else text.encode("ascii", "backslashreplace").decode("ascii")
