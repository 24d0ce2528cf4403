"""A data set's split as the feature cache wants it: its task, its views, its key."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tensorflow import keras

from nas_tf import folders
from nas_tf.config import schema
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples
from nas_tf.data.info import DatasetInfo
from nas_tf.data.views import View
from nas_tf.errors import ConfigError
from nas_tf.tasks import Depth, Pose, Segmentation, Task
from nas_tf.training import task_settings
from nas_tf.training.encoding import Progress, Source
from nas_tf.training.features import CacheKey, FeatureCache, prepare

_BATCH = 16
_NO_SETTINGS = schema.Task()


def features_dir() -> Path:
    """The folder of all caches: $NAS_TF_CACHE/features, else ~/.cache/nas_tf/features."""
    return folders.cache("features")


def task_of(
    info: DatasetInfo, target: str | None = None, settings: schema.Task = _NO_SETTINGS
) -> Task:
    """The task that a data set's target asks for; its first target where none is named."""
    target = target or info.targets[0]
    if target not in info.targets:
        accepted = ", ".join(info.targets)
        raise ConfigError(f"target {target!r} is not in {info.name}, expected {accepted}")
    given = task_settings.arguments(settings, info, target)
    if target == "depth":
        return Depth(**given)
    if target == "keypoints":
        given.setdefault("unscored", [info.joints.index(joint) for joint in info.unscored_joints])
        if given["score"] == "oks" and info.sigmas:
            given.setdefault("sigmas", info.sigmas)
        return Pose(len(info.joints), names=info.joints, swaps=info.swaps, **given)
    return Segmentation(
        len(info.classes),
        ignore_label=info.ignore_label,
        names=info.classes,
        colours=info.colours,
        **given,
    )


def cache_split(
    examples: Examples,
    task: Task,
    view: View,
    encoder: keras.Model,
    *,
    views: int = 1,
    seed: int = 1,
    subset: Sequence[int] | None = None,
    teacher: keras.Model | None = None,
    single_precision: bool = False,
    root: Path | None = None,
    starting: Callable[[int], None] | None = None,
    progress: Progress | None = None,
) -> FeatureCache:
    """Opens the cached features of a split through a view, building what is absent.

    Args:
        examples: The prepared split.
        task: Gives the dense target that is stored, and says what else its score needs.
        view: How an example becomes an input; augmentation is drawn anew for every view.
        encoder: Gives the taps, finest first.
        views: How many views of each image are stored; epochs take them in turn.
        seed: Seed of the views.
        subset: Indices of the examples to take, as the meta split gives them.
        teacher: Gives logits to store beside the features.
        single_precision: Store float32 instead of float16.
        root: Folder of all caches.
        starting: Called before anything is written, with the bytes that will be.
        progress: Called with the rows that are done and their total.
    """
    chosen = range(len(examples)) if subset is None else [int(index) for index in subset]
    key = CacheKey(
        data=f"{examples.identity}, {_stored(task)}, {view}, subset {_ranges(chosen)}",
        images=len(chosen),
        views=views,
        crop=view.crop,
        seed=seed,
        dtype="float32" if single_precision else "float16",
    )
    return prepare(
        root or features_dir(),
        key,
        _source(examples, task, view, views, seed, chosen),
        encoder,
        teacher=teacher,
        extras=_extras(task),
        batch=_BATCH,
        starting=starting,
        progress=progress,
    )


def _stored(task: Task) -> str:
    """The task, and what of an example is stored for its score."""
    return " ".join((task.name, *task.extras))


def _extras(task: Task) -> tuple[str, ...]:
    """What is stored beside the dense target: the target itself where that is another thing."""
    return (task.target.key, *task.extras) if task.extras else ()


def _source(
    examples: Examples, task: Task, view: View, views: int, seed: int, chosen: Sequence[int]
) -> Source:
    def source(first: int) -> Iterable[tuple[Any, ...]]:
        stream = pipeline.views(
            examples,
            task.target,
            view,
            batch=_BATCH,
            seed=seed,
            count=views,
            first=first,
            subset=chosen,
            extras=task.extras,
        )

        def encoded(image: Any, target: Any) -> tuple[Any, ...]:
            extras = (target,) if task.extras else ()
            return image, task.encode(target, view.crop), *extras

        return examples.checked(stream.map(encoded))

    return source


def _ranges(indices: Sequence[int]) -> str:
    """Indices as ranges, so that a whole split reads ``0-366``."""
    text: list[list[int]] = []
    for index in indices:
        if text and text[-1][-1] == index - 1:
            text[-1][1:] = [index]
        else:
            text.append([index])
    return " ".join("-".join(map(str, ends)) for ends in text)
