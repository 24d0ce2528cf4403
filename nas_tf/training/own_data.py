"""Completes a configuration by the pictures of a user's own folder.

A published data set has the papers' views. For a folder, pictures are resized so that their
longer side is the median one, at most ``LONGER``; the network's input contains all of them
completely; and a training step uses a crop of at most ``CROP`` pixels per side. A configuration
with crops for its stages stays unchanged: its pictures keep their own size.
"""

from statistics import median

from msgspec import structs

from nas_tf.config.schema import Config, FullStage, Gradient, Resize, StageOne, StageTwo
from nas_tf.data import store
from nas_tf.data.folder import PREFIX
from nas_tf.data.headers import picture_sizes
from nas_tf.data.joined_splits import parts
from nas_tf.data.registry import dataset_info
from nas_tf.input_geometry import Resize as Rule
from nas_tf.sizes import Size
from nas_tf.training import hardware

LONGER, CROP, LEAST = 512, 320, 64
CLEAN_SIZE, CLEAN_CROP = (256, 256), (64, 64)
"""The input and the crop of pictures to be restored, which keep their size."""
MULTIPLE = 32
"""The deepest stride of the encoder: inputs of its multiples lose no pixel at the edges."""


def completed(config: Config, *, in_full: bool = False) -> Config:
    """Returns the configuration with all values filled in that depend on the pictures.

    Crops of the stages of full training count ``in_full`` only: a search takes no notice of them.
    Sizes are computed with TensorFlow, whose threads cannot be set afterwards.
    """
    data = config.data
    if not data.name.startswith(PREFIX):
        return config
    if not {*parts(data.train_split)} <= dataset_info(data.name).splits.keys():
        return config  # the checks before a search or a training report it
    hardware.use_threads(config.threads)
    return _with_batches(_with_view(config, in_full=in_full))


def _with_view(config: Config, *, in_full: bool) -> Config:
    data = config.data
    later = config.full_training.stages if in_full else ()
    stages = (config.stage_one, config.stage_two, *later)
    if any(stage is not None and stage.crop is not None for stage in stages):
        return config
    given = data.view
    if None not in (given.resize, given.input, given.crop):
        return config
    if (data.target or dataset_info(data.name).targets[0]) == "clean":
        size, crop = given.input or CLEAN_SIZE, given.crop or CLEAN_CROP
        view = structs.replace(given, resize=given.resize or "none", input=size, crop=crop)
        return structs.replace(config, data=structs.replace(data, view=view))
    sizes = picture_sizes(data.name, (*parts(data.train_split), *parts(data.val_split)))
    resize = given.resize
    if resize is None:
        resize = Resize(longer=max(LEAST, min(LONGER, round(median(map(max, sizes))))))
    rule = Rule() if resize == "none" else Rule(**structs.asdict(resize))
    size = given.input or _containing(rule, sizes)
    crop = given.crop or tuple(min(side, CROP) for side in size)
    view = structs.replace(given, resize=resize, input=size, crop=crop)
    return structs.replace(config, data=structs.replace(data, view=view))


def _containing(rule: Rule, sizes: list[Size]) -> Size:
    """Returns the smallest input that contains every picture, up to the multiple of its sides."""
    resized = [rule.size(size).numpy().tolist() for size in set(sizes)]
    sides = (max(size[axis] for size in resized) for axis in (0, 1))
    height, width = (max(LEAST, -(-side // MULTIPLE) * MULTIPLE) for side in sides)
    return height, width


def _with_batches(config: Config) -> Config:
    """Limits batches with their default size to the number of training examples."""
    data = config.data
    count = store.count(data.name, data.train_split)
    train_count = max(1, count - round(count * data.meta_val_share))
    stage_one, stage_two = config.stage_one, config.stage_two
    if stage_one.batch == StageOne().batch:
        images = max(1, round(stage_one.image_share * train_count))
        stage_one = structs.replace(stage_one, batch=min(stage_one.batch, images))
    if stage_two is not None and stage_two.batch == StageTwo().batch:
        stage_two = structs.replace(stage_two, batch=min(stage_two.batch, train_count))
    gradient = config.gradient
    if gradient.batch == Gradient().batch:
        gradient = structs.replace(gradient, batch=max(1, min(gradient.batch, train_count // 2)))
    default = FullStage(epochs=1).batch
    stages = tuple(
        structs.replace(stage, batch=min(default, count))
        if (stage.batch, stage.data, stage.split) == (default, None, None)
        else stage
        for stage in config.full_training.stages
    )
    full = structs.replace(config.full_training, stages=stages)
    return structs.replace(
        config, stage_one=stage_one, stage_two=stage_two, gradient=gradient, full_training=full
    )
