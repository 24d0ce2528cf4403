"""Folders as a full training leaves them, with invented figures."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nas_tf import spaces
from nas_tf.config.load import dump, load
from nas_tf.runs import filenames

CLASSES = ("Sky", "Pole")


def trained(
    folder: Path,
    miou: float,
    overrides: Sequence[str] = (),
    *,
    genotype: str = "arch0",
    config: str = "camvid_auxcell",
    **record: Any,
) -> Path:
    """Writes the folder of a training whose classes have the mean ``miou``, and returns it."""
    folder.mkdir(parents=True)
    (folder / filenames.CONFIG).write_text(dump(load(config, overrides)))
    (folder / filenames.GENOTYPE).write_text(spaces.resolve(genotype).to_json())
    table = [
        {"class": name, "iou": None if name == "Pole" and miou > 0.9 else miou - n / 10}
        for n, name in enumerate(CLASSES)
    ]
    figures = {"mean_iou": miou, "accuracy": 0.9}
    content = {"result": figures, "table": table, "seconds": 3600.0, **record}
    (folder / filenames.RESULT).write_text(json.dumps(content))
    return folder
