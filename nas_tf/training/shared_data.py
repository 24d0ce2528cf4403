"""Data that all candidates of a search share: features, targets, encoder and streams."""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf import networks
from nas_tf.config.schema import Config
from nas_tf.data import pipeline
from nas_tf.data.geometry import sample_motion
from nas_tf.data.views import View
from nas_tf.data.whole_pictures import spread
from nas_tf.networks.arrays import layouts
from nas_tf.networks.blueprint import Blueprint
from nas_tf.networks.from_genotype import tap_layers
from nas_tf.networks.state import State, fill_model, from_arrays
from nas_tf.sizes import Size
from nas_tf.training import from_config, hardware, own_data, preflight
from nas_tf.training.distill import load_teacher
from nas_tf.training.features import FeatureCache
from nas_tf.training.scoring import padded
from nas_tf.training.split_cache import cache_split

_LOG = logging.getLogger("nas_tf")
_MEASURED, _COMPLETE = 20, 0.995


class SharedData:
    """Opens the data and the feature caches, and builds missing features after all checks.

    An instance serves any number of candidates, one after the other::

        shared = SharedData(config.load("quickstart"))
        evaluator = TwoStage(shared.config, shared)

    Args:
        config: Configuration of the search.
        root: Folder of all feature caches.
        progress: Called with a label of the features, the number of finished rows and their total.
    """

    def __init__(
        self,
        config: Config,
        *,
        root: Path | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        config = own_data.completed(config)
        self.encoder_arrays = from_config.encoder_arrays(config)
        self._options = from_config.encoder_options(config)
        self.taps = tap_layers(**self._options)
        preflight.before_search(config)
        self.config, self._root, self._progress = config, root, progress
        hardware.compute_in_one_order()  # regardless of earlier computations
        self.task = from_config.task_for(config)
        first, second = config.stage_one.crop, config.stage_two and config.stage_two.crop
        self.stage_one_view = from_config.view_of(config, "stage_one", first)
        self.stage_two_view = from_config.view_of(config, "stage_two", second or first)
        self.reward_view = from_config.reward_view(config)
        self._stage_two_target = from_config.stored_size(config, self.stage_two_view.crop)
        teacher = self._teacher()
        self.examples = from_config.training_examples(config)
        self.meta_train, self.meta_val = from_config.meta_indices(config, len(self.examples))
        self.stage_one_images = from_config.stage_one_indices(config, self.meta_train)
        self.train = self._cached(self.stage_one_view, teacher, training=True)
        self._val = self._cached(self.reward_view, None, training=False)
        self.covered_share = self._covered_share()
        if self.covered_share < _COMPLETE:
            height, width = self.reward_view.crop
            _LOG.warning(
                "candidates are scored on %.0f %% of meta-val's pixels, %dx%d at the centre of "
                "each picture; data.view.resize or data.view.input includes more",
                *(100 * self.covered_share, height, width),
            )

    def _teacher(self) -> keras.Model | None:
        config = self.config
        if config.teacher is None or not config.stage_one.distillation:
            return None
        return load_teacher(Path(config.teacher), self.task, self.stage_one_view.crop)

    def _cached(self, view: View, teacher: keras.Model | None, *, training: bool) -> FeatureCache:
        """Returns the features that stage one learns from, or those of meta-val in one view."""
        config, progress = self.config, None
        if self._progress is not None:
            progress = partial(
                self._progress, f"features of meta-{'train' if training else 'val'}"
            )
        return cache_split(
            self.examples,
            self.task,
            view,
            self._encoder(view.crop),
            views=config.stage_one.views if training else 1,
            seed=config.data.split_seed,
            subset=self.stage_one_images if training else self.meta_val,
            teacher=teacher,
            target_size=self._target_size(view.crop),
            root=self._root,
            progress=progress,
        )

    def _target_size(self, crop: Size) -> Size | None:
        """Returns the size of stored targets, or None if the first tap has it."""
        size = from_config.stored_size(self.config, crop)
        first = networks.encoder_blueprint(input_size=crop, **self._options).output()
        return None if first.size == size else size

    def _encoder(self, crop: Size) -> keras.Model:
        encoder = networks.encoder(input_size=crop, **self._options)
        fill_model(encoder, self.encoder_arrays)
        return encoder

    def _covered_share(self) -> float:
        """Returns the share of meta-val's pixels that candidates are scored on, from a sample."""
        view, shares = self.reward_view, []
        for index in spread(self.meta_val, _MEASURED):
            size = tf.shape(self.examples.get(tf.constant(index, tf.int64))["image"])[:2]
            scaled = tf.cast(size, tf.float32) * sample_motion(view, size, [0, 0]).scale
            covered = tf.minimum(tf.constant(view.crop, tf.float32), scaled) / scaled
            shares.append(float(tf.reduce_prod(covered)))
        return sum(shares) / len(shares)

    def with_encoder(self, blueprint: Blueprint, decoder: State) -> State:
        """Returns the state of a trained decoder with the encoder that computed its features."""
        encoder = {part: own for part, own in layouts(blueprint).items() if part == "encoder"}
        return decoder.with_parts(from_arrays(encoder, self.encoder_arrays))

    def stage_two_steps(self, batch: int) -> int:
        """Returns the number of steps of an epoch of stage two."""
        return pipeline.steps_per_epoch(len(self.meta_train), batch)

    def stage_two_batches(self, seed: int, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Iterates batches of images and targets, as stage one stores them, of one epoch."""
        stage, task = self.config.stage_two, self.task
        stream = pipeline.training(
            self.examples,
            task.target,
            self.stage_two_view,
            batch=stage.batch,
            seed=seed,
            subset=self.meta_train,
            start=(epoch, 0),
            epochs=epoch + 1,
            extras=task.extras,
        )
        for images, target in self.examples.checked(stream):
            yield images, self._as_stored(target)

    def _as_stored(self, raw: Any) -> tf.Tensor:
        """Returns the encoded target at the resolution of the stored one."""
        crop = self.stage_two_view.crop
        return self.task.stored(self.task.encode(raw, crop), self._stage_two_target)

    def validation_taps(self) -> Iterator[tuple[Any, Any]]:
        """Iterates batches of the features and scored targets of meta-val."""
        batch = self.config.evaluation.batch
        for stored in self._val.in_order(batch=batch):
            taps = {name: padded(part, batch) for name, part in stored.items() if "tap" in name}
            yield taps, self._scored_target(stored)

    def validation_images(self) -> Iterator[tuple[Any, Any]]:
        """Iterates batches of meta-val's images with the targets that stage one is scored on."""
        batch = self.config.evaluation.batch
        images = pipeline.evaluation(
            self.examples,
            self.task.target,
            self.reward_view,
            batch=batch,
            subset=self.meta_val,
            extras=self.task.extras,
        )
        cached = self._val.in_order(batch=batch)
        for (image, _), stored in zip(self.examples.checked(images), cached, strict=True):
            yield padded(image, batch), self._scored_target(stored)

    def _scored_target(self, stored: dict[str, tf.Tensor]) -> Any:
        """Returns the stored target, or the raw one if it is another or has extra fields."""
        key, extras = self.task.target.key, self.task.extras
        if extras:
            return {name: stored[name] for name in (key, *extras)}
        return stored[key if self.task.has_encoding else "target"]
