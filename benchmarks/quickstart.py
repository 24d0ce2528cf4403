"""`make quickstart`: builds, runs, costs and draws the published networks.

python benchmarks/quickstart.py --out out/quickstart
"""

import argparse
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nas_tf import networks, quiet, spaces
from nas_tf.report import graph

SIZE = (257, 257)


def main() -> None:
    """Prints a table and says where the pictures are and what to try next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    console = Console()
    console.print("loading TensorFlow …")
    tensorflow = quiet.load("tensorflow")
    image = tensorflow.random.uniform((1, *SIZE, 3), -1.0, 1.0)
    table = Table(box=None, pad_edge=False)
    for title in ("network", "parameters", "multiply-adds", "output", "build", "first forward"):
        table.add_column(title, justify="left" if title == "network" else "right")
    for name, entry in spaces.PUBLISHED.items():
        with console.status(f"building {name}"):
            table.add_row(name, *_row(entry, image, folder / name))
    console.print(f"published networks at {SIZE[0]}x{SIZE[1]}, auxiliaries left out")
    console.print(table)
    console.print(f"drawings: {folder}/*.svg, *.png", highlight=False)
    console.print(
        "next: nas-tf show arch0, nas-tf sample auxcell --count 3 --seed 1", highlight=False
    )


def _row(entry: spaces.Published, image: object, stem: Path) -> list[str]:
    settings = networks.settings.published(entry.genotype.space, auxiliary="none")
    start = time.perf_counter()
    model = networks.build(entry.genotype, entry.num_classes, input_size=SIZE, settings=settings)
    built = time.perf_counter()
    logits = model(image, training=False)
    done = time.perf_counter()
    drawn = networks.draw(entry.genotype, entry.num_classes, input_size=SIZE, settings=settings)
    counted = networks.cost(drawn.deployed())
    graph.save(entry.genotype, stem, title=entry.name)
    return [
        f"{counted.params:,}",
        f"{counted.madds / 1e9:.2f} B",
        "x".join(map(str, logits.shape[1:])),
        f"{built - start:.2f} s",
        f"{done - built:.2f} s",
    ]


if __name__ == "__main__":
    main()
