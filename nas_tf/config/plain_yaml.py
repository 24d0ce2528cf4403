"""YAML 1.2's plain values: a loader, a dumper of texts that it reads, and the values of nodes."""

import re
from typing import Any, ClassVar

import yaml

TAG = "tag:yaml.org,2002:"
EMPTY = yaml.MappingNode(f"{TAG}map", [])
SCALARS = {
    f"{TAG}null": lambda text: None,
    f"{TAG}bool": lambda text: {"true": True, "false": False}[text.lower()],
    f"{TAG}int": int,
    f"{TAG}float": float,
    f"{TAG}str": str,
}


class Loader(yaml.SafeLoader):
    """A loader with YAML 1.2's plain values: 3e-3 is a number; yes, 1:30 and dates are texts."""

    yaml_implicit_resolvers: ClassVar[dict] = {}


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    Loader.add_implicit_resolver(f"{TAG}{_kind}", re.compile(f"^(?:{_pattern})$"), _first)


class Dumper(yaml.SafeDumper):
    """A dumper of texts that ``Loader`` reads back as the same values."""

    yaml_implicit_resolvers: ClassVar[dict] = Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        """Returns true, so that no anchors are written."""
        return True


def is_mapping(node: yaml.Node | None) -> bool:
    """Returns whether a node is a mapping."""
    return isinstance(node, yaml.MappingNode) and node.tag == f"{TAG}map"


def plain(node: yaml.Node) -> Any:
    """Returns the value of a scalar or a list of scalars; KeyError or ValueError otherwise."""
    if isinstance(node, yaml.ScalarNode):
        if node.value == "None" and node.style is None:  # a text in YAML, but null is meant
            raise ValueError(node.value)
        return SCALARS[node.tag](node.value)
    if node.tag != f"{TAG}seq" or not all(
        isinstance(entry, yaml.ScalarNode) for entry in node.value
    ):
        raise ValueError(node.tag)
    return [plain(entry) for entry in node.value]
