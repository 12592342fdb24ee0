"""YAML, as vcrpy's cassettes are written in it; the door to PyYAML."""

import yaml

from replaykit.value import JsonData

_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # with libyaml, some eight times as fast


def dump(data: "dict[str, JsonData | object]") -> str:
    """Write data in block style, keys sorted, bytes as `!!binary`: the text that vcrpy writes."""
    text: str = yaml.dump(data, Dumper=_Dumper)
    return text
