"""Renders the findings in a folder as a commented dataset.yaml."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from nas_tf.data.headers import Pictures
from nas_tf.data.init.classes import Classes, Values
from nas_tf.data.init.tree import Arrangement

_IGNORED = 255


def render(
    found: Arrangement,
    counts: Mapping[str, int],
    pictures: Pictures,
    names: Sequence[str],
    boxes: Mapping[str, int],
    classes: Classes | None,
    values: Values | None,
) -> str:
    """Returns the complete text of dataset.yaml."""
    blocks = [_head(found, counts, pictures), _files(found, counts)]
    if classes is not None and values is not None:
        blocks.append(_classes(classes, values))
    elif names:
        blocks.append(_names(found, names, boxes))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _head(found: Arrangement, counts: Mapping[str, int], pictures: Pictures) -> list[str]:
    """Returns the comment at the head of the file."""
    counted = ", ".join(f"{split} {count}" for split, count in counts.items())
    lines = [
        "# Describes this folder to nas-tf. Written by nas-tf data init: edit it as you like.",
        "# docs/how-to/data.md explains every key.",
        f"# Layout: {found.title}; examples: {counted}.",
    ]
    if pictures.read:
        lines.append(f"# Pictures: {pictures.sizes_in_words}.")
    return lines


def _files(found: Arrangement, counts: Mapping[str, int]) -> list[str]:
    """Returns the keys of the files that are not in their default folders."""
    lines = []
    if found.clean is not None and found.clean == found.images:
        lines.append(f"clean: {_quoted(found.clean)}")
    elif found.clean is not None:
        lines.append("pairs:")
        lines.append(f"  degraded: {_quoted(found.images)}")
        lines.append(f"  clean: {_quoted(found.clean)}")
    elif found.images != "images":
        lines.append(f"images: {_quoted(found.images)}")
    if found.labels is not None and found.labels != "labels":
        lines.append(f"labels: {_quoted(found.labels)}")
    if found.depth is not None:
        lines.append(f"depth: {_quoted(found.depth)}")
        lines.append("depth_unit: 0.001  # metres a step; a guess, 16-bit millimetres are usual")
    if found.keypoints is not None:
        lines.append(f"keypoints: {_quoted(found.keypoints)}")
    if found.boxes is not None:
        lines.append(f"boxes: {_quoted(found.boxes)}")
    if found.splits:
        lines.append("splits:")
        for split, source in found.splits.items():
            sampled = ", drawn at random" if split in found.lists else ""
            lines.append(f"  {split}: {_quoted(source)}  # {counts[split]} examples{sampled}")
    return lines


def _names(found: Arrangement, names: Sequence[str], boxes: Mapping[str, int]) -> Iterator[str]:
    """Yields the classes of boxes or outlines, with the number of boxes of each if counted."""
    if boxes:
        yield "# Boxes of other classes are refused; there is no background."
    elif found.boxes:
        yield "# The categories of the JSON; the boxes of those that you remove are left out."
    else:
        yield "# The first class is what no outline covers; the others are categories of the JSON."
    yield "classes:"
    for name in names:
        yield f"  - {_quoted(name)}" + (f"  # {boxes[name]} boxes" if boxes else "")


def _classes(classes: Classes, values: Values) -> list[str]:
    """Returns names and values of the classes, with their shares."""
    lines = [f"# Shares are of the pixels in the {values.read} label files that were read."]
    lines.append("classes:")
    for name, value in zip(classes.names, classes.values, strict=True):
        share = values.share(value)
        frequency = f"{100 * share:.2f} %" if share else "not seen"
        lines.append(f"  - {_quoted(name)}  # {_value(value, values)}, {frequency}")
    share = sum(values.share(value) for value in classes.ignored)
    lines.append("")
    lines.append("# Pixels of this label are neither trained nor scored.")
    lines.append(f"ignore_label: {_IGNORED}  # {100 * share:.2f} %")
    if classes.mapped:
        lines += ["", *_label_map(classes, values)]
    return lines


def _label_map(classes: Classes, values: Values) -> Iterator[str]:
    """Yields the lines of the label_map, its ignored values last."""
    kind = "Colours" if values.coloured else "Values"
    yield f"# {kind} in the label files, and the class index that each of them stands for."
    yield "label_map:"
    for number, value in enumerate(classes.values):
        yield f"  {_key(value, values)}: {number}  # {_quoted(classes.names[number])}"
    for value in classes.ignored:
        if values.coloured or value != _IGNORED:
            yield f"  {_key(value, values)}: {_IGNORED}  # ignored"


def _value(value: int, values: Values) -> str:
    """Returns a value or colour for a comment."""
    return f"colour #{value:06x}" if values.coloured else f"value {value}"


def _key(value: int, values: Values) -> str:
    """Returns a value or colour as a key of label_map."""
    return f'"#{value:06x}"' if values.coloured else str(value)


def _quoted(text: str) -> str:
    """Returns a text so that YAML reads the same text back."""
    plain = re.fullmatch(r"\w([\w ./-]*\w)?", text, re.ASCII)
    return (
        text
        if plain and text not in ("null", "true", "false")
        else json.dumps(text, ensure_ascii=False)
    )
