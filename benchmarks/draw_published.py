"""Draws every published genotype into a folder; the README shows one of these pictures.

python benchmarks/draw_published.py --out docs/pictures
"""

import argparse
from pathlib import Path

from nas_tf import spaces
from nas_tf.report import graph


def main() -> None:
    """Writes SVG, PNG and Graphviz text of each genotype."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    folder = parser.parse_args().out
    for name, entry in spaces.PUBLISHED.items():
        for path in graph.save(entry.genotype, folder / name, title=name):
            print(path)


if __name__ == "__main__":
    main()
