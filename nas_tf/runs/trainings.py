"""Reads finished trainings from their folders, without TensorFlow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nas_tf.errors import DataError, GenotypeError
from nas_tf.genotype import Genotype
from nas_tf.runs import filenames
from nas_tf.runs.load import dotted


@dataclass(frozen=True)
class Training:
    """The folder of a finished training; everything is read at its first use.

    ::

        training = Training(Path("runs/camvid_auxcell-arch0"))
        print(training.figures, training.settings["seed"])
    """

    folder: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved configuration by dotted keys."""
        path = self.folder / filenames.CONFIG
        try:
            return dotted(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} can't be read: {error}") from error

    @cached_property
    def genotype(self) -> Genotype:
        """The genotype of the network."""
        path = self.folder / filenames.GENOTYPE
        try:
            return Genotype.from_json(path.read_text(encoding="utf-8"))
        except (OSError, GenotypeError, ValueError) as error:
            raise DataError(f"{path} can't be read: {error}") from error

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """The content of ``result.json``; it has at least the figures and the table."""
        path = self.folder / filenames.RESULT
        if not path.exists():
            raise DataError(
                f"{self.folder} has no {path.name} yet, expected a finished training: the same "
                "nas-tf train resumes it"
            )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not found["result"] or not isinstance(found["table"], list):
                raise ValueError("it has no figures")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path} is damaged: {error}; the same nas-tf train writes it again"
            ) from error
        return found

    @property
    def figures(self) -> dict[str, float]:
        """The final figures of the task, the usual one first."""
        return self.record["result"]

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages."""
        return sum(
            value
            for key, value in self.settings.items()
            if key.startswith("full_training.stages.") and key.endswith(".epochs")
        )
