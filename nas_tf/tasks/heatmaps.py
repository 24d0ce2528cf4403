"""Turns joints into Gaussian heatmaps, and heatmaps into joints.

Pixel centres are half-pixel, as in every resize: image coordinate ``x`` corresponds to
``(x + 0.5) / stride - 0.5`` on a map of that stride.
"""

import tensorflow as tf

from nas_tf.sizes import Size

STRIDE, SIGMA = 4, 2.0
ABSENT = -1.0
_NOWHERE = -1e9


def map_size(size: Size) -> Size:
    """Returns height and width of the heatmaps of an image."""
    return -(-size[0] // STRIDE), -(-size[1] // STRIDE)


def render(keypoints: tf.Tensor, size: Size) -> tf.Tensor:
    """Returns Gaussians of sigma 2 at stride 4, the maximum over all people.

    Args:
        keypoints: [batch, people, joints, 3]: x, y in pixels and visibility, 0 if absent.
        size: Height and width of the image.

    Returns:
        [batch, height, width, joints]; a map is -1 throughout if nobody has the joint.
    """
    height, width = map_size(size)
    x, y, visible = (keypoints[..., n, None, None] for n in range(3))
    columns = tf.range(width, dtype=tf.float32)
    rows = tf.range(height, dtype=tf.float32)[:, None]
    off_x = columns - ((x + 0.5) / STRIDE - 0.5)
    off_y = rows - ((y + 0.5) / STRIDE - 0.5)
    maps = tf.exp(-(off_x**2 + off_y**2) / (2 * SIGMA**2))
    maps = tf.reduce_max(tf.where(visible > 0, maps, ABSENT), axis=1)
    return tf.transpose(maps, [0, 2, 3, 1])


def decode(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the joints [batch, joints, (x, y)] in image pixels, and the height of each peak.

    Joints whose map has no finite value are NaN, which is near no joint. The peak moves a quarter
    of a pixel towards its higher neighbour (Newell et al., 2016).
    """
    shape = tf.shape(maps)
    maps = tf.where(tf.math.is_finite(maps), maps, _NOWHERE)
    flat = tf.reshape(tf.transpose(maps, [0, 3, 1, 2]), [shape[0], shape[3], -1])
    best = tf.argmax(flat, -1, tf.int32)
    row, column = best // shape[2], best % shape[2]

    def height_at(rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        inside = (rows >= 0) & (rows < shape[1]) & (columns >= 0) & (columns < shape[2])
        indices = tf.where(inside, rows * shape[2] + columns, best)
        return tf.gather(flat, indices, batch_dims=2)

    quarter_x = 0.25 * tf.sign(height_at(row, column + 1) - height_at(row, column - 1))
    quarter_y = 0.25 * tf.sign(height_at(row + 1, column) - height_at(row - 1, column))
    on_map = tf.stack(
        [tf.cast(column, tf.float32) + quarter_x, tf.cast(row, tf.float32) + quarter_y], -1
    )
    peaks = tf.reduce_max(flat, -1)
    joints = (on_map + 0.5) * STRIDE - 0.5
    return tf.where(peaks[..., None] > _NOWHERE, joints, float("nan")), peaks
