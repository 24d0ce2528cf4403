"""Counts a network with a dense prediction cell by its sections, at the input of Table 1.

python benchmarks/dpc_counts.py
"""

from collections.abc import Iterator

from nas_tf import networks
from nas_tf.networks import Blueprint, encoders
from nas_tf.networks.blueprint import Layer

SIZE = (1025, 2049)
SECTIONS = {
    "encoder": "encoder",
    "cell": "cell",
    "projection": "projection",
    "deeplabv3plus": "decoder of DeepLabv3+",
    "classifier": "classifier",
}
_BY_NAME = {
    "projection": "projection",
    "decoder": "deeplabv3plus",
    "output": "classifier",
    "logits": "classifier",
}


def section_of(layer: Layer) -> str:
    """Names the section of the network that a layer belongs to."""
    if layer.part == "encoder":
        return "encoder"
    return _BY_NAME.get(layer.name.partition(".")[0], "cell")


def blueprint_on(encoder: str, genotype: str = "dpc-top1") -> Blueprint:
    """Returns a cell with the decoder of DeepLabv3+ on an encoder, for 19 classes."""
    settings = networks.settings.published(
        "dpc", encoder=encoders.get(encoder), decoder="deeplabv3plus"
    )
    return networks.blueprint_of(genotype, 19, input_size=SIZE, settings=settings)


def rows(encoder: str) -> Iterator[tuple[str, int, int]]:
    """Yields the sections of the published cell's network: parameters and multiply-adds."""
    counts = networks.cost_by_part(blueprint_on(encoder), section_of)
    yield from ((name, *counts[section]) for section, name in SECTIONS.items())


def main() -> None:
    """Prints a row of a table per section, for both encoders of the paper."""
    found = [list(rows(encoder)) for encoder in ("mobilenet_v2", "xception")]
    for (name, params, madds), (_, others, other_madds) in zip(*found, strict=True):
        print(
            f"| {name} | {params:,} | {madds / 1e9:.2f} B "
            f"| {others:,} | {other_madds / 1e9:.2f} B |"
        )


if __name__ == "__main__":
    main()
