"""Texts of other tools, as bytes: what can't be any is told in words that can stand after a file's name."""


def utf8(text: str) -> bytes:
    """Return text as UTF-8. Raises ValueError where it can't be."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text has half a character in it") from None


def latin(text: str) -> str:
    """Return text of a header as Latin-1 reads its bytes. Raises ValueError where there are none."""
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return utf8(text).decode("latin-1")
    return text
