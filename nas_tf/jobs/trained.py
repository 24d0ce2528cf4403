"""Loads a network by its training, its search or its genotype, and saves compressed ones."""

import itertools
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import tensorflow as tf
from msgspec import structs

from nas_tf import files, spaces
from nas_tf.config.load import dump, load, load_saved
from nas_tf.config.schema import Config
from nas_tf.data import pipeline
from nas_tf.data.registry import dataset_info
from nas_tf.data.whole_pictures import WholePictures
from nas_tf.errors import ConfigError, DataError, GenotypeError, WeightsError
from nas_tf.genotype import Genotype
from nas_tf.jobs.trials import is_named
from nas_tf.networks.keras_model import realise
from nas_tf.networks.model_files import read_model
from nas_tf.networks.state import Arrays, arrays_of_model, fill_model, initial_arrays
from nas_tf.runs import Run, TrialRecord, filenames, saved_arrays
from nas_tf.search.gradient import ORACLE
from nas_tf.sizes import Size
from nas_tf.training import from_config, own_data
from nas_tf.training.from_config import Phase
from nas_tf.training.full_run import BEST, CONFIG, GENOTYPE, LAST, RESULT
from nas_tf.training.scoring import Split
from nas_tf.training.task_settings import task_of
from serving.images import as_bytes
from serving.shipment import Shipment

_BATCH = 4
_RECORDED = ("split", "images", "result", "steps", "compressed")


@dataclass(frozen=True)
class LoadedNetwork:
    """A network that can be exported, with its configuration and the phase of its settings."""

    shipment: Shipment
    config: Config
    genotype: Genotype
    phase: Phase

    def pictures(
        self, split: str, count: int | None = None
    ) -> WholePictures | list[tuple[np.ndarray, Any]]:
        """Returns some or all pictures of a split: whole, or batches of persons with targets."""
        pictures = from_config.scored_pictures(self.config, split, self.shipment.size)
        if isinstance(pictures, WholePictures):
            pictures = replace(pictures, geometry=self.shipment.geometry)
        if count is not None:
            pictures = pictures.spread(count)
        return pictures if isinstance(pictures, WholePictures) else self._batches(pictures)

    def stream(self, batch: int, seed: int) -> tf.data.Dataset:
        """Returns endless batches of the training split, in full training's view."""
        task, size = self.shipment.task, self.shipment.size
        examples = from_config.training_examples(self.config)
        view = from_config.view_of(self.config, "full", size)
        batches = pipeline.training(
            examples, task.target, view, batch=batch, seed=seed, extras=task.extras
        )
        return batches.map(lambda images, target: (images, task.encode(target, size)))

    def samples(self, count: int) -> Iterator[np.ndarray]:
        """Yields single images of the training split, for calibrating the ranges of int8."""
        pictures = self.pictures(self.config.data.train_split, count)
        if isinstance(pictures, WholePictures):
            geometry = replace(pictures.geometry, any_size=False)
            pictures = replace(pictures, geometry=geometry)
            windows = (window for group, _, _ in pictures.windows() for window in group)
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
    config_name: str | None = None,
    overrides: Sequence[str] = (),
    trial: str | None = None,
    rank: int = 1,
    which: str = "last",
    size: Size | None = None,
) -> LoadedNetwork:
    """Loads the network of a training's or search's folder, or of a genotype with ``config_name``.

    Args:
        source: The folder, or a published name or brackets.
        config_name: The configuration of a genotype, with ``overrides``.
        overrides: Settings of the configuration, as KEY=VALUE.
        trial: The trial of a search, instead of the one with ``rank``.
        rank: The rank of a search's trial by its reward; 1 is the best.
        which: The weights of a training: ``last`` or ``best``.
        size: The network's input size, instead of that of its configuration.
    """
    folder = Path(source)
    given = {"--trial": trial, "--config": config_name, "--weights best": which != "last"}
    given["rank"] = rank != 1
    given |= dict.fromkeys(overrides, True)
    if os.path.exists(folder / GENOTYPE):
        _refuse_others(given, {"--weights best"}, f"{source} is the folder of a training")
        return _of_training(folder, which, size)
    if os.path.exists(folder / filenames.RUN):
        _refuse_others(given, {"--trial", "rank"}, f"{source} is the folder of a search")
        return _of_search(Run(folder), trial, rank, size)
    if os.path.isdir(folder):
        raise ConfigError(
            f"{source} holds neither {GENOTYPE} nor {filenames.RUN}, expected a folder that "
            "nas-tf train or nas-tf search wrote"
        )
    if config_name is None:
        raise ConfigError(
            f"{source} is not a folder, expected one that nas-tf train or nas-tf search wrote"
        )
    _refuse_others(given, {"--config", *overrides}, f"{source} is a genotype")
    return _untrained(source, load(config_name, overrides), size)


def _refuse_others(given: Mapping[str, Any], accepted: Set[str], reason: str) -> None:
    """Raises ConfigError if an option was given that would have no effect."""
    for name, value in given.items():
        if value and name not in accepted:
            raise ConfigError(f"{reason}, expected no {name}")


def _of_training(folder: Path, which: str, size: Size | None) -> LoadedNetwork:
    config = load_saved(folder / CONFIG)
    genotype = read_genotype(folder / GENOTYPE)
    path = folder / {"last": LAST, "best": BEST}[which]
    if not path.exists():
        raise ConfigError(f"{folder} has no {path.name} yet, expected a finished training")
    origin: dict[str, Any] = {"kind": "training", "weights": which}
    phase: Phase = "published"
    result = folder / RESULT
    if which == "last" and result.exists():
        recorded = read_result(result)
        phase = recorded.get("phase", phase)
        origin |= {key: recorded[key] for key in _RECORDED if key in recorded}
    try:
        arrays = arrays_of_model(read_model(path))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a Keras model: {error}") from error
    name = folder.resolve().name
    return _loaded(name, genotype, config, phase, size, arrays, origin)


def read_genotype(path: Path) -> Genotype:
    """Reads a genotype; raises GenotypeError with the file's name if it is damaged."""
    try:
        return Genotype.from_json(path.read_text(encoding="utf-8"))
    except (GenotypeError, ValueError) as error:
        raise GenotypeError(f"{path} is damaged: {error}") from error


def read_result(path: Path) -> dict[str, Any]:
    """Reads the record that a training or a compression wrote about itself."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(recorded, dict):
            raise ValueError(f"it holds a {type(recorded).__name__}, expected a record")
    except ValueError as error:
        raise DataError(
            f"{path} is damaged: {error}; run the same nas-tf train again, which rewrites it, or "
            "nas-tf compress with another --out"
        ) from error
    return recorded


def save_network(network: LoadedNetwork, folder: Path) -> None:
    """Writes a folder like that of a training, which ``find`` reads; it appears complete."""
    model = realise(network.shipment.shipped, name=folder.name)
    fill_model(model, network.shipment.arrays)
    with files.reporting_full_disk(folder), files.stage(folder.parent) as staging:
        partial = staging / folder.name
        partial.mkdir()
        (partial / CONFIG).write_text(dump(network.config), encoding="utf-8")
        (partial / GENOTYPE).write_text(network.genotype.to_json(), encoding="utf-8")
        record = {"phase": network.phase, "compressed": network.shipment.facts["compressed"]}
        (partial / RESULT).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        model.save(partial / LAST)
        files.publish(partial, folder)


def add_result(folder: Path, figures: Mapping[str, Any]) -> None:
    """Adds figures to the record of a folder that ``save_network`` wrote."""
    record = json.loads((folder / RESULT).read_text(encoding="utf-8")) | figures
    files.write(folder / RESULT, json.dumps(record, indent=1) + "\n")


def _of_search(run: Run, trial: str | None, rank: int, size: Size | None) -> LoadedNetwork:
    """Loads a trial as the search trained it: the named one, or that of a rank."""
    config = load_saved(run.folder / filenames.CONFIG)
    if run.info.oracle == ORACLE or config.search.supernet:
        raise _without_weights(run, trial, rank)
    chosen = _saved_trial(run, trial, rank)
    arrays = from_config.encoder_arrays(config) | saved_arrays.read_arrays(
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
    return _loaded(name, chosen.parsed, config, "search", size, arrays, origin)


def _without_weights(run: Run, trial: str | None, rank: int) -> ConfigError:
    """Returns the error of a run whose networks have the weights of a super-net alone."""
    completed = run.best(len(run.completed))
    chosen = _chosen(completed, trial, rank)
    if chosen is None:
        wanted = f"trial {trial}" if trial else f"trial of rank {rank}"
        return ConfigError(f"{run.folder} has no {wanted}, expected one of: {_names(completed)}")
    command = shlex.join(
        ["nas-tf", "train", chosen.genotype, "--config", str(run.folder / filenames.CONFIG)]
    )
    return ConfigError(
        f"{run.folder} has the weights of a super-net, and none of trial {chosen.trial} alone, "
        f"expected a training of its genotype: {command}"
    )


def _saved_trial(run: Run, trial: str | None, rank: int) -> TrialRecord:
    saved = [
        trial
        for trial in run.best(len(run.completed))
        if saved_arrays.arrays_path(run.folder, trial.trial).exists()
    ]
    chosen = _chosen(saved, trial, rank)
    if chosen is not None:
        return chosen
    wanted = f"trial {trial}" if trial else f"rank {rank}" if saved else "any trial"
    raise ConfigError(f"{run.folder} has no weights of {wanted}, expected one of: {_names(saved)}")


def _chosen(ranked: Sequence[TrialRecord], trial: str | None, rank: int) -> TrialRecord | None:
    """Returns the named trial, or that of a rank; None if it is not among them."""
    for number, candidate in enumerate(ranked, 1):
        if number == rank if trial is None else is_named(candidate, trial):
            return candidate
    return None


def _names(trials: Sequence[TrialRecord]) -> str:
    return ", ".join(sorted(trial.trial for trial in trials)) or "none yet"


def _untrained(text: str, config: Config, size: Size | None) -> LoadedNetwork:
    genotype = spaces.resolve(text, None if text in spaces.PUBLISHED else config.space)
    if text in spaces.PUBLISHED:
        config = structs.replace(config, space=spaces.space_of(genotype).section())
    config = own_data.completed(config, in_full=True)
    name = text if text in spaces.PUBLISHED else f"{genotype.space}-{genotype.digest}"
    blueprint = from_config.blueprint_builder(config, genotype, "published")(
        size or from_config.geometry(config).size
    )
    arrays = initial_arrays(blueprint.deployed(), seed=config.seed)
    return _loaded(name, genotype, config, "published", size, arrays, {"kind": "random weights"})


def _loaded(
    name: str,
    genotype: Genotype,
    config: Config,
    phase: Phase,
    size: Size | None,
    arrays: Arrays,
    origin: dict[str, Any],
) -> LoadedNetwork:
    size = size or from_config.geometry(config).size
    info = dataset_info(config.data.name)
    task = task_of(info, config.data.target, config.task)
    facts: dict[str, Any] = {
        "space": genotype.space,
        "genotype": json.loads(str(genotype)),
        "data": info.name,
        "origin": origin,
        "config": msgspec.to_builtins(config),
    }
    blueprint = from_config.blueprint_builder(config, genotype, phase)(size)
    resize = from_config.geometry(config, size).resize
    shipment = Shipment(name, task, blueprint, arrays, facts, resize)
    return LoadedNetwork(shipment, config, genotype, phase)
