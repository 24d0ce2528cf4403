"""Receptive fields of the branches of a dense prediction cell, from its genotype alone."""

from nas_tf.genotype import Genotype
from nas_tf.sizes import Size
from nas_tf.spaces.dpc import Operator, branches_of

PUBLISHED_STRIDE = 16


def receptive_fields(
    genotype: Genotype, input_size: Size, output_stride: int = PUBLISHED_STRIDE
) -> tuple[Size | None, ...]:
    """Returns the rows and columns of features that each branch depends on.

    None stands for the entire map. The border is ignored. A field in features times the output
    stride is that in pixels, without what each feature reads of the image.

    ::

        receptive_fields(spaces.resolve("dpc-top1"), (1025, 2049))[0]  # (3, 13)
    """
    fields: list[Size | None] = [(1, 1)]
    for branch in branches_of(genotype):
        read, reach = fields[branch.source], _reach(branch.operator, input_size, output_stride)
        entire = read is None or reach is None
        fields.append(None if entire else (read[0] + reach[0], read[1] + reach[1]))
    return tuple(fields[1:])


def _reach(operator: Operator, input_size: Size, output_stride: int) -> Size | None:
    """Returns the features that an operator reads beyond the first, None for all of them."""
    grid = operator.rows, operator.columns
    if operator.kind == "conv1x1":
        return 0, 0
    if operator.kind == "sep3x3":
        times = PUBLISHED_STRIDE // output_stride
        return 2 * grid[0] * times, 2 * grid[1] * times
    if grid == (1, 1):
        return None
    # A window beyond the first feature, and the window next to it, which interpolation reads.
    rows, columns = (
        (n - 1) // (output_stride * g) + 1 for n, g in zip(input_size, grid, strict=True)
    )
    return rows, columns
