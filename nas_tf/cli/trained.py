"""What ``export`` ships: the network a person names, with all that is known of it, and images."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
from msgspec import structs

from nas_tf import folders, spaces
from nas_tf.config.load import dump, load
from nas_tf.config.schema import Config
from nas_tf.data import pipeline
from nas_tf.data.registry import dataset_info
from nas_tf.data.whole_pictures import WholePictures
from nas_tf.errors import ConfigError, DataError, GenotypeError, WeightsError
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Size
from nas_tf.networks.keras_model import realise
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import Arrays, arrays_of_model, fill_model, initial_arrays
from nas_tf.runs import Run, TrialRecord, files
from nas_tf.search import candidate_models
from nas_tf.training import from_config, own_data
from nas_tf.training.from_config import Phase
from nas_tf.training.full_run import BEST, CONFIG, GENOTYPE, LAST, RESULT
from nas_tf.training.scoring import Split
from serving.images import as_bytes
from serving.shipment import Shipment

_BATCH = 4
_TOLD = ("split", "images", "result", "steps", "compressed")


@dataclass(frozen=True)
class Found:
    """A shipment, the experiment it comes from, and in which phase's settings it is drawn."""

    shipment: Shipment
    config: Config
    genotype: Genotype
    phase: Phase

    def pictures(
        self, split: str, count: int | None = None
    ) -> WholePictures | list[tuple[np.ndarray, Any]]:
        """Some or all pictures of a split: whole, or batches of persons with their targets."""
        found = from_config.scored(self.config, split, self.shipment.size)
        if isinstance(found, WholePictures):
            found = replace(found, geometry=self.shipment.geometry)
        if count is not None:
            found = found.spread(count)
        return found if isinstance(found, WholePictures) else self._batches(found)

    def stream(self, batch: int, seed: int) -> tf.data.Dataset:
        """Endless batches of the training split as full training sees it, for fine-tuning."""
        task, size = self.shipment.task, self.shipment.size
        examples = from_config.training_examples(self.config)
        view = from_config.view_of(self.config, "full", size)
        batches = pipeline.training(
            examples, task.target, view, batch=batch, seed=seed, extras=task.extras
        )
        return batches.map(lambda images, target: (images, task.encode(target, size)))

    def samples(self, count: int) -> Iterator[np.ndarray]:
        """Single images of the training split, which ranges of integers are taken from."""
        pictures = self.pictures(self.config.data.train_split, count)
        if isinstance(pictures, WholePictures):
            windows = (window for cut, _, _ in pictures.windows() for window in cut)
            yield from itertools.islice(windows, count)
            return
        for images, _ in pictures:
            yield from images

    def _batches(self, split: Split) -> list[tuple[np.ndarray, Any]]:
        batches = split.batches(self.shipment.task, _BATCH)
        return [(as_bytes(images), target) for images, target in batches]


def find(
    source: str,
    *,
    config: str | None = None,
    overrides: Sequence[str] = (),
    trial: str | None = None,
    which: str = "last",
    size: Size | None = None,
) -> Found:
    """The folder of a training or of a search, or a genotype with ``config``."""
    folder = Path(source)
    given = {"--trial": trial, "--config": config, "--weights best": which != "last"}
    given |= dict.fromkeys(overrides, True)
    if os.path.exists(folder / GENOTYPE):
        _only(given, {"--weights best"}, f"{source} is the folder of a training")
        return _of_training(folder, which, size)
    if os.path.exists(folder / files.RUN):
        _only(given, {"--trial"}, f"{source} is the folder of a search")
        return _of_search(Run(folder), trial, size)
    if os.path.isdir(folder):
        raise ConfigError(
            f"{source} holds neither {GENOTYPE} nor {files.RUN}, expected a folder that nas-tf "
            "train or nas-tf search wrote"
        )
    if config is None:
        raise ConfigError(
            f"{source} is no folder, expected one that nas-tf train or nas-tf search wrote"
        )
    _only(given, {"--config", *overrides}, f"{source} is a genotype")
    return _untrained(source, load(config, overrides), size)


def _only(given: Mapping[str, Any], accepted: Set[str], what: str) -> None:
    """Raises where something was given that would change nothing."""
    for name, value in given.items():
        if value and name not in accepted:
            raise ConfigError(f"{what}, expected no {name}")


def _of_training(folder: Path, which: str, size: Size | None) -> Found:
    config = load(folder / CONFIG)
    genotype = _genotype(folder / GENOTYPE)
    path = folder / {"last": LAST, "best": BEST}[which]
    if not path.exists():
        raise ConfigError(f"{folder} has no {path.name} yet, expected a training that ended")
    origin: dict[str, Any] = {"kind": "training", "weights": which}
    phase: Phase = "published"
    result = folder / RESULT
    if which == "last" and result.exists():
        told = record(result)
        phase = told.get("phase", phase)
        origin |= {key: told[key] for key in _TOLD if key in told}
    try:
        arrays = arrays_of_model(read_model(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a Keras model: {error}") from error
    name = folder.resolve().name
    return _found(name, genotype, config, phase, size, arrays, origin)


def _genotype(path: Path) -> Genotype:
    """The genotype of a folder; one that is damaged is told with the file's name."""
    try:
        return Genotype.from_json(path.read_text(encoding="utf-8"))
    except (GenotypeError, ValueError) as error:
        raise GenotypeError(f"{path} is damaged: {error}") from error


def record(path: Path) -> dict[str, Any]:
    """What a training or a compression says of itself."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict):
            raise ValueError(f"it holds a {type(told).__name__}, expected a record")
    except ValueError as error:
        raise DataError(
            f"{path} is damaged: {error}; run the same nas-tf train again, which writes it anew, "
            "or nas-tf compress with another --out"
        ) from error
    return told


def save_network(found: Found, folder: Path) -> None:
    """Writes a folder like that of a training, which ``find`` reads."""
    model = realise(found.shipment.shipped, name=folder.name)
    fill_model(model, found.shipment.arrays)
    beside = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        (beside / CONFIG).write_text(dump(found.config), encoding="utf-8")
        (beside / GENOTYPE).write_text(found.genotype.to_json(), encoding="utf-8")
        told = {"phase": found.phase, "compressed": found.shipment.told["compressed"]}
        (beside / RESULT).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        with folders.room_in(folder):
            model.save(beside / LAST)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def add_result(folder: Path, figures: Mapping[str, Any]) -> None:
    """Writes figures into a folder that was kept."""
    told = json.loads((folder / RESULT).read_text(encoding="utf-8")) | figures
    files.write_atomically(folder / RESULT, json.dumps(told, indent=1) + "\n")


def _of_search(run: Run, trial: str | None, size: Size | None) -> Found:
    """A trial as the search trained it: the best whose weights are kept, or the one named."""
    config = load(run.folder / files.CONFIG)
    chosen = _kept(run, trial)
    arrays = from_config.encoder_arrays(config) | candidate_models.read_arrays(
        run.folder, chosen.trial
    )
    size = size or from_config.reward_view(config).crop
    origin = {
        "kind": "search",
        "trial": chosen.trial,
        "reward": chosen.reward,
        "stages": len(chosen.stages),
    }
    name = f"{run.folder.resolve().name}-{chosen.trial}"
    return _found(name, chosen.parsed, config, "search", size, arrays, origin)


def _kept(run: Run, trial: str | None) -> TrialRecord:
    kept = [
        trial
        for trial in run.best(len(run.completed))
        if candidate_models.arrays_path(run.folder, trial.trial).exists()
    ]
    for one in kept:
        if trial in (None, one.trial):
            return one
    names = ", ".join(sorted(trial.trial for trial in kept)) or "none yet"
    what = "any trial" if trial is None else f"trial {trial}"
    raise ConfigError(f"{run.folder} keeps no weights of {what}, expected one of: {names}")


def _untrained(text: str, config: Config, size: Size | None) -> Found:
    genotype = spaces.resolve(text, None if text in spaces.PUBLISHED else config.space)
    config = own_data.completed(structs.replace(config, space=genotype.space))
    name = text if text in spaces.PUBLISHED else f"{genotype.space}-{genotype.digest}"
    drawn = from_config.drawer(config, genotype, "published")(
        size or from_config.geometry(config).size
    )
    arrays = initial_arrays(drawn.deployed(), seed=config.seed)
    return _found(name, genotype, config, "published", size, arrays, {"kind": "random weights"})


def _found(
    name: str,
    genotype: Genotype,
    config: Config,
    phase: Phase,
    size: Size | None,
    arrays: Arrays,
    origin: dict[str, Any],
) -> Found:
    size = size or from_config.geometry(config).size
    task, info = from_config.task_for(config), dataset_info(config.data.name)
    told: dict[str, Any] = {
        "space": genotype.space,
        "genotype": json.loads(str(genotype)),
        "data": info.name,
        "origin": origin,
        "config": msgspec.to_builtins(config),
    }
    if task.name == "segmentation":
        told |= {
            "classes": list(info.classes),
            "palette": [list(colour) for colour in info.colours],
        }
    if task.name == "pose":
        told["joints"] = list(info.joints)
    drawn = from_config.drawer(config, genotype, phase)(size)
    resize = from_config.geometry(config, size).resize
    return Found(Shipment(name, task, drawn, arrays, told, resize), config, genotype, phase)
