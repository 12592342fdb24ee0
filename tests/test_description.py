"""Descriptions: what is read, what is refused, and how 3.0 becomes 3.1."""

import json
from pathlib import Path

import pytest

from replaykit.errors import DescriptionError, MissingFileError
from replaykit.openapi.description import MAX_FILE, accept, read

BOMB = b"a: &a [x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 40)) for n in range(97, 107)
)
HERE = Path(__file__).parent


def described(**more):
    """Return the smallest document, with more in it."""
    return {"openapi": "3.1.0", "info": {"title": "T"}, "paths": {"/a": {"get": {"responses": {}}}}, **more}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "it is no object"),
        ({}, "it has no `openapi: 3.1.0`"),
        ({"openapi": "4.0.0", "paths": {}}, "its version is '4.0.0'"),
        ({"openapi": 3.1, "paths": {}}, "its version is 3.1"),
        ({"swagger": "2.0", "paths": {}}, "Swagger 2.0"),
        ({"openapi": "3.1.0"}, "has no paths"),
        (described(x={"$ref": "other.yaml#/a"}), "leads to another document"),
        (described(x={"$ref": "http://example.com/a.json"}), "leads to another document"),
        (described(x={"$ref": "#/nowhere"}), "leads nowhere"),
        (described(x={"$ref": "#/x"}), "lead to each other"),
        (described(x=float("inf")), "is not finite"),
    ],
)
def test_what_is_no_description_is_refused_by_name(document, said):
    """Each kind of a wrong document is told for what it is."""
    with pytest.raises(DescriptionError) as told:
        accept(document)

    assert said in str(told.value)


def test_swagger_2_is_told_how_to_be_converted():
    """Who has Swagger 2.0 is told the command that turns it into OpenAPI 3."""
    with pytest.raises(DescriptionError, match="npx swagger2openapi"):
        accept({"swagger": "2.0", "paths": {}})


def test_a_file_that_is_not_there_is_a_missing_file(tmp_path: Path):
    """A file that can't be read is told as one."""
    with pytest.raises(MissingFileError):
        read(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{" * 200_000, "can't be read"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "deep"),
        (b'{"a": NaN}', "no number that JSON knows"),
        (BOMB, "characters"),
        (b"a: !!python/object/apply:os.system [ls]", "names a thing of a program"),
        (b"\xff\xfe\x00", "can't be read"),
        (b"x" * (MAX_FILE + 1), "more than 16 MB"),
    ],
    ids=["open", "deep", "nan", "bomb", "tag", "binary", "large"],
)  # fmt: skip
def test_hostile_files_are_refused(tmp_path: Path, content: bytes, said: str):
    """Bombs, tags, depth and size are named errors, and nothing is made of them."""
    path = tmp_path / "openapi.yaml"
    path.write_bytes(content)

    with pytest.raises(DescriptionError, match=said):
        accept(read(path))


def test_a_document_that_is_too_deep_is_refused():
    """Depth is counted before anything walks the document by recursion."""
    deep: dict = {}
    at = deep
    for _ in range(200):
        at["x"] = {}
        at = at["x"]

    with pytest.raises(DescriptionError, match="nested more than"):
        accept(described(x=deep))


def test_schemas_of_3_0_become_those_of_3_1():
    """Nullable, exclusive bounds, examples and what stands beside a ref are turned into the newer words."""
    schemas = {
        "A": {"type": "string", "nullable": True, "enum": ["a"], "example": "a"},
        "B": {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 9, "exclusiveMaximum": False},
        "C": {"$ref": "#/components/schemas/A", "description": "x"},
        "D": {"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": True},
    }
    made = accept(described(openapi="3.0.3", components={"schemas": schemas})).document["components"]["schemas"]

    assert {
        "A": {"type": ["string", "null"], "enum": ["a", None], "examples": ["a"]},
        "B": {"type": "number", "exclusiveMinimum": 0, "maximum": 9},
        "C": {"$ref": "#/components/schemas/A"},
        "D": {"anyOf": [{"allOf": [{"$ref": "#/components/schemas/A"}]}, {"type": "null"}]},
    } == made


def test_json_and_yaml_are_the_same(tmp_path: Path):
    """A description is the same in both writings."""
    from replaykit import yaml

    data = read(HERE / "openapi" / "gists.yaml")
    (tmp_path / "a.json").write_text(json.dumps(data))
    (tmp_path / "a.yaml").write_text(yaml.dump(data))

    assert data == read(tmp_path / "a.json")
    assert data == read(tmp_path / "a.yaml")
