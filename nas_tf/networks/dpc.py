"""Builds dense prediction cells from their genotypes (NeurIPS 2018)."""

from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.networks.blueprint import Layer
from nas_tf.networks.draft import Draft
from nas_tf.networks.heads import Head, classifier
from nas_tf.networks.settings import Builder, Settings
from nas_tf.sizes import Size
from nas_tf.spaces.dpc import DPCSpace, Operator, branches_of

_DROP = 0.1
_LOW_LEVEL_WIDTH = 48
_DEPTHWISE_INIT, _POINTWISE_INIT = "truncated_normal:0.33", "truncated_normal:0.06"


def add_network(draft: Draft, genotype: Genotype, head: Head, settings: Settings) -> None:
    """Adds the encoder at output stride 16 or 8, the cell, its projection and the classifier.

    The decoder of DeepLabv3+ comes before the classifier if the settings have it.
    """
    stride = settings.output_stride
    (features,) = settings.encoder.add(draft, DPCSpace.taps, output_stride=stride)
    draft.start_part("decoder", epsilon=1e-5, momentum=0.9997)
    x = add_projected(draft, features, genotype, settings)
    if settings.decoder is not None:
        x = add_refined(draft, x, draft.layer(settings.encoder.low_level_layer()), settings.width)
    draft.output(classifier(draft, x, "output.classifier", head, kernel=1), "logits")


BUILDER = Builder(
    add_network=add_network,
    published=Settings(width=256, auxiliary="none"),
    search=Settings(width=256, auxiliary="none"),
)


def add_projected(draft: Draft, features: Layer, genotype: Genotype, settings: Settings) -> Layer:
    """Adds the branches, their concatenation, dropout and the projection."""
    outputs = [features]
    for k, branch in enumerate(branches_of(genotype), 1):
        name = f"branch{k}.{branch.operator}"
        outputs.append(
            _add_operator(draft, outputs[branch.source], branch.operator, name, settings)
        )
    x = draft.concat(outputs[1:], "cell.concat") if len(outputs) > 2 else outputs[1]
    x = draft.dropout(x, "cell.dropout", drop=_DROP)
    return _add_conv(draft, x, "projection", settings.width)


def add_refined(draft: Draft, x: Layer, low_level: Layer, width: int) -> Layer:
    """Adds the decoder of DeepLabv3+: the cell's output is refined at stride 4.

    It is resized to the encoder's low-level feature, which a 1x1 convolution reduces, and two
    separable convolutions read both.
    """
    low = _add_conv(draft, low_level, "decoder.low_level", _LOW_LEVEL_WIDTH)
    x = draft.resize(x, low, "decoder.resize", corners=True)
    x = draft.concat([x, low], "decoder.concat")
    for number in (1, 2):
        x = _add_separable(draft, x, f"decoder.sep{number}", width, (1, 1))
    return x


def _add_operator(draft: Draft, x: Layer, op: Operator, name: str, settings: Settings) -> Layer:
    if op.kind == "conv1x1":
        return _add_conv(draft, x, name, settings.width)
    if op.kind == "sep3x3":
        times = 16 // settings.output_stride
        rate = (op.rows * times, op.columns * times)
        return _add_separable(draft, x, name, settings.width, rate)
    pooled = _add_pool(draft, x, (op.rows, op.columns), name, settings)
    pooled = _add_conv(draft, pooled, name, settings.width)
    return draft.resize(pooled, x, f"{name}.resize", corners=True)


def _add_conv(draft: Draft, x: Layer, name: str, width: int) -> Layer:
    x = draft.conv(x, f"{name}.conv", width, init=_POINTWISE_INIT)
    return draft.relu(draft.batch_norm(x, f"{name}.bn"), f"{name}.relu")


def _add_separable(draft: Draft, x: Layer, name: str, width: int, rate: Size) -> Layer:
    """Adds a separable 3x3 convolution, normalised and activated after each of its parts."""
    x = draft.depthwise(x, f"{name}.depthwise", kernel=3, rate=rate, init=_DEPTHWISE_INIT)
    x = draft.relu(draft.batch_norm(x, f"{name}.depthwise.bn"), f"{name}.depthwise.relu")
    x = draft.conv(x, f"{name}.pointwise", width, init=_POINTWISE_INIT)
    return draft.relu(draft.batch_norm(x, f"{name}.bn"), f"{name}.relu")


def _add_pool(draft: Draft, x: Layer, grid: Size, name: str, settings: Settings) -> Layer:
    """Adds average pooling whose window is one cell of a grid over the feature map.

    The released code slides that window by one pixel (``sliding``); the paper's text has one
    average per grid cell (``grid``), which needs a crop of 1 more than a multiple.
    """
    if grid == (1, 1):
        return draft.global_pool(x, f"{name}.mean")
    if draft.dynamic:
        raise ConfigError(
            f"{name} needs a fixed input_size: its window is a share of the crop, "
            "give input_size=(height, width)"
        )
    stride = settings.output_stride
    kernel = tuple(
        (n - 1) // (stride * g) + 1 for n, g in zip(draft.input_size, grid, strict=True)
    )
    if settings.pool_mode == "sliding":
        return draft.average_pool(x, f"{name}.mean", kernel=kernel, stride=(1, 1))  # type: ignore[arg-type]
    steps = tuple(max(1, k - 1) for k in kernel)
    pooled = draft.average_pool(x, f"{name}.mean", kernel=kernel, stride=steps)  # type: ignore[arg-type]
    if pooled.size != grid:
        height, width = draft.input_size
        nearest = "x".join(
            str(round((n - 1) / (stride * g)) * stride * g + 1)
            for n, g in zip(draft.input_size, grid, strict=True)
        )
        raise ConfigError(
            f"input {height}x{width} does not divide into the {grid[0]}x{grid[1]} grid of {name}, "
            f"expected 1 more than a multiple of {stride * grid[0]} and {stride * grid[1]}, "
            f"nearest {nearest}"
        )
    return pooled
