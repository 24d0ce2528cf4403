"""What all candidates of an experiment share: features, targets, encoder, data streams."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow import keras

from nas_tf import networks
from nas_tf.config.schema import Config
from nas_tf.data import pipeline
from nas_tf.data.geometry import sample_motion
from nas_tf.data.meta_split import meta_split
from nas_tf.data.whole_pictures import spread
from nas_tf.networks.arrays import layouts
from nas_tf.networks.backbones import TAP_LAYERS
from nas_tf.networks.blueprint import Blueprint, Size
from nas_tf.networks.state import State, fill_model, from_arrays
from nas_tf.training import from_config, hardware, own_data, preflight
from nas_tf.training.distill import load_teacher
from nas_tf.training.encoding import Progress
from nas_tf.training.features import FeatureCache
from nas_tf.training.scoring import filled
from nas_tf.training.split_cache import cache_split

_LOG = logging.getLogger("nas_tf")
_MEASURED, _WHOLE = 20, 0.995


class SharedData:
    """Opens the data and the feature caches, building what is absent; checks all it can first.

    Args:
        config: The experiment.
        root: Folder of all feature caches.
        progress: Called with what is being cached, the rows done and their total.
    """

    taps = TAP_LAYERS

    def __init__(
        self,
        config: Config,
        *,
        root: Path | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        config = own_data.completed(config)
        self.encoder_arrays = from_config.encoder_arrays(config)
        preflight.before_search(config)
        self.config, self._root, self._progress = config, root, progress
        hardware.compute_in_one_order()  # whatever this process did before
        self.task = from_config.task_for(config)
        first, second = config.stage_one.crop, config.stage_two and config.stage_two.crop
        self.stage_one_view = from_config.view_of(config, "stage_one", first)
        self.stage_two_view = from_config.view_of(config, "stage_two", second or first)
        self.reward_view = from_config.reward_view(config)
        teacher = self._teacher()
        self.examples = from_config.training_examples(config)
        self.meta_train, self.meta_val = meta_split(
            len(self.examples), seed=config.data.split_seed, fraction=config.data.meta_val
        )
        self.train = self._cached("features of meta-train", self.stage_one_view, teacher)
        self._val = self._cached("features of meta-val", self.reward_view, None)
        self.share_seen = self._share_seen()
        if self.share_seen < _WHOLE:
            height, width = self.reward_view.crop
            _LOG.warning(
                "rewards are taken on %.0f %% of the pixels of meta-val, %dx%d at the centre of "
                "each picture; data.view.resize or data.view.input lets them see more",
                *(100 * self.share_seen, height, width),
            )

    def _teacher(self) -> keras.Model | None:
        config = self.config
        if config.teacher is None or not config.stage_one.distillation:
            return None
        return load_teacher(Path(config.teacher), self.task, self.stage_one_view.crop)

    def _cached(self, what: str, view: Any, teacher: keras.Model | None) -> FeatureCache:
        """Meta-train in several views, meta-val in one."""
        config, training = self.config, what.endswith("train")
        progress: Progress | None = None
        if self._progress is not None:
            heard = self._progress
            progress = lambda done, total: heard(what, done, total)  # noqa: E731
        return cache_split(
            self.examples,
            self.task,
            view,
            self._encoder(view.crop),
            views=config.stage_one.views if training else 1,
            seed=config.data.split_seed,
            subset=self.meta_train if training else self.meta_val,
            teacher=teacher,
            root=self._root,
            progress=progress,
        )

    def _encoder(self, crop: Size) -> keras.Model:
        encoder = networks.encoder(input_size=crop, **from_config.encoder_options(self.config))
        fill_model(encoder, self.encoder_arrays)
        return encoder

    def _share_seen(self) -> float:
        """The share of meta-val's pixels that rewards are taken on, by some of its pictures."""
        view, shares = self.reward_view, []
        for index in spread(self.meta_val, _MEASURED):
            size = tf.shape(self.examples.get(tf.constant(index, tf.int64))["image"])[:2]
            scaled = tf.cast(size, tf.float32) * sample_motion(view, size, [0, 0]).scale
            seen = tf.minimum(tf.constant(view.crop, tf.float32), scaled) / scaled
            shares.append(float(tf.reduce_prod(seen)))
        return sum(shares) / len(shares)

    def with_encoder(self, blueprint: Blueprint, decoder: State) -> State:
        """A trained decoder with the encoder that its features came from."""
        encoder = {"encoder": layouts(blueprint)["encoder"]}
        state = from_arrays(encoder, self.encoder_arrays)
        return state.with_part("decoder", decoder)

    def stage_two_steps(self, batch: int) -> int:
        """Steps of an epoch end to end."""
        return pipeline.steps_per_epoch(len(self.meta_train), batch)

    def stage_two_batches(self, seed: int, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Images and dense targets of one epoch."""
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
            yield images, self._dense(target)

    def _dense(self, target: Any) -> tf.Tensor:
        """The dense target, at the finest tap's resolution as in stage one."""
        dense = self.task.encode(target, self.stage_two_view.crop)
        if dense.shape.rank == 4:
            return dense
        size = self._tap_size(self.stage_two_view.crop)
        return tf.image.resize(dense[..., None], size, method="nearest")[..., 0]

    @staticmethod
    def _tap_size(crop: Size) -> Size:
        return -(-crop[0] // 4), -(-crop[1] // 4)

    def validation_taps(self) -> Iterator[tuple[Any, Any]]:
        """Features and targets of meta-val, batch by batch."""
        batch = self.config.evaluation.batch
        for one in self._val.in_order(batch=batch):
            taps = {name: filled(part, batch) for name, part in one.items() if "tap" in name}
            yield taps, self._scored(one)

    def validation_images(self) -> Iterator[tuple[Any, Any]]:
        """Images of meta-val with the very targets that stage one is scored on."""
        batch = self.config.evaluation.batch
        images = pipeline.evaluation(
            self.examples,
            self.task.target,
            self.reward_view,
            batch=batch,
            subset=self.meta_val,
            extras=self.task.extras,
        )
        targets = self._val.in_order(batch=batch)
        for (seen, _), one in zip(self.examples.checked(images), targets, strict=True):
            yield filled(seen, batch), self._scored(one)

    def _scored(self, one: dict[str, tf.Tensor]) -> Any:
        """What the task's figures are taken on."""
        extras = self.task.extras
        if not extras:
            return one["target"]
        return {key: one[key] for key in (self.task.target.key, *extras)}
