"""Values in the nodes of a YAML text; a node that is not accepted raises ``Refused``."""

import re

import yaml

TAG = "tag:yaml.org,2002"
MOST_NAMES = 255


class Refused(Exception):
    """A node whose value is not accepted."""

    def __init__(self, node: yaml.Node, expected: str, part: str = "") -> None:
        super().__init__(expected)
        self.node, self.expected, self.part = node, expected, part


def scalar(node: yaml.Node, expected: str, part: str = "") -> str:
    """Returns a text of one line that is not empty."""
    if node.tag != f"{TAG}:str" or not node.value.strip() or not node.value.isprintable():
        raise Refused(node, expected, part)
    return node.value


def integer(node: yaml.Node, least: int, most: int, expected: str, part: str = "") -> int:
    """Returns an integer from ``least`` to ``most``."""
    text = scalar(node, expected, part)
    if not re.fullmatch(r"[-+]?[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise Refused(node, expected, part)
    return int(text)


def entries(node: yaml.Node, expected: str) -> list[yaml.Node]:
    """Returns the nodes of a list that is not empty."""
    if node.tag != f"{TAG}:seq" or not node.value:
        raise Refused(node, expected)
    return node.value


def items(node: yaml.Node, expected: str) -> list[tuple[yaml.Node, yaml.Node]]:
    """Returns the keys and values of a mapping that is not empty."""
    if node.tag != f"{TAG}:map" or not node.value:
        raise Refused(node, expected)
    return node.value


def names(node: yaml.Node, expected: str, most: int = MOST_NAMES) -> tuple[str, ...]:
    """Returns a list of different texts."""
    listed = entries(node, expected)
    if len(listed) > most:
        raise Refused(node, f"at most {most}")
    found: list[str] = []
    for number, entry in enumerate(listed):
        name = scalar(entry, expected, f".{number}")
        if name in found:
            raise Refused(entry, "every name once", f".{number}")
        found.append(name)
    return tuple(found)


def on_one_line(text: str) -> str:
    """Returns the text on one line."""
    return " ".join(text.split())


def short(text: str, most: int = 60) -> str:
    """Returns the text on one line of at most ``most`` printable characters."""
    text = on_one_line(repr(text)[1:-1] if not text.isprintable() else text)
    return text if len(text) <= most else f"{text[: most - 1]}…"
