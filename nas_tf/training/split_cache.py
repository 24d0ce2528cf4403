"""Builds the feature cache of a data set's split from its task and views."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tensorflow import keras

from nas_tf import files
from nas_tf.data import pipeline
from nas_tf.data.examples import Examples
from nas_tf.data.views import View
from nas_tf.sizes import Size
from nas_tf.tasks import Task
from nas_tf.training.encoding import Progress, Source
from nas_tf.training.features import CacheKey, FeatureCache, prepare

_BATCH = 16


def features_dir() -> Path:
    """Returns the folder of all caches: $NAS_TF_CACHE/features, else ~/.cache/nas_tf/features."""
    return files.cache("features")


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
    target_size: Size | None = None,
    single_precision: bool = False,
    root: Path | None = None,
    starting: Callable[[int], None] | None = None,
    progress: Progress | None = None,
) -> FeatureCache:
    """Opens the cached features of a split in a view, and builds what is missing of them.

    Args:
        examples: The prepared split.
        task: Encodes the target, and names the extra fields that its score needs.
        view: Turns an example into an input; every view samples its augmentation.
        encoder: Returns the taps.
        views: Number of stored views of each image; epochs take them in turn.
        seed: Seed of the views.
        subset: Indices of the examples to use, such as those of meta-train.
        teacher: Returns the logits to store with the features.
        target_size: Size of the stored targets and logits, by default that of the first tap.
        single_precision: Store float32 instead of float16.
        root: Folder of all caches.
        starting: Called before anything is written, with the number of bytes to write.
        progress: Called with the number of finished rows and their total.
    """
    chosen = range(len(examples)) if subset is None else [int(index) for index in subset]
    key = CacheKey(
        data=_content(examples, task, view, chosen, target_size),
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
        stored=task.stored,
        teacher=teacher,
        extras=_extras(task),
        target_size=target_size,
        batch=_BATCH,
        starting=starting,
        progress=progress,
    )


def _content(
    examples: Examples, task: Task, view: View, chosen: Sequence[int], target_size: Size | None
) -> str:
    """Returns the split, the task with its stored fields and settings, the view, and the size."""
    fields = " ".join((task.name, *task.extras, *task.encoding))
    size = "" if target_size is None else f", targets {target_size}"
    return f"{examples.identity}, {fields}, {view}, subset {_ranges(chosen)}{size}"


def _extras(task: Task) -> tuple[str, ...]:
    """Returns the fields that only the score needs: the raw target and the task's extras."""
    return (task.target.key, *task.extras) if task.extras or task.has_encoding else ()


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
            raw = target if task.extras else {task.target.key: target}
            return image, task.encode(target, view.crop), *([raw] if _extras(task) else ())

        return examples.checked(stream.map(encoded))

    return source


def _ranges(indices: Sequence[int]) -> str:
    """Returns indices as a text of ranges, such as ``0-366`` for a complete split."""
    ranges: list[list[int]] = []
    for index in indices:
        if ranges and ranges[-1][-1] == index - 1:
            ranges[-1][1:] = [index]
        else:
            ranges.append([index])
    return " ".join("-".join(map(str, ends)) for ends in ranges)
