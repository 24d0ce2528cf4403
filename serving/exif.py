"""The EXIF orientation of JPEG and PNG files, read and applied within a TensorFlow graph.

TensorFlow's decoders ignore it. Damaged EXIF data count as no orientation; the work is bounded,
and nothing outside the file is read, whatever offsets the file states.
"""

import tensorflow as tf

_HEAD = 1 << 18
"""The number of bytes of a file that are read: EXIF data come before the pixels."""
_MAX_SEGMENTS, _MAX_ENTRIES = 256, 256
_TAG, _SHORT, _LONG = 0x0112, 3, 4


def orientation(file: tf.Tensor, is_png: tf.Tensor) -> tf.Tensor:
    """Returns the orientation, 1 to 8, from the bytes of a JPEG or PNG file."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(file, 0, _HEAD), tf.uint8), tf.int64)
    start, end = tf.cond(is_png, lambda: _exif_of_png(head), lambda: _exif_of_jpeg(head))
    return tf.cond(start > 0, lambda: _in_tiff(head[start:end]), lambda: tf.constant(1, tf.int64))


def turned(picture: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns a picture [height, width, channels] of an orientation upright."""

    def is_any_of(*values: int) -> tf.Tensor:
        return tf.reduce_any(orientation == tf.constant(values, tf.int64))

    picture = tf.cond(orientation > 4, lambda: tf.transpose(picture, (1, 0, 2)), lambda: picture)
    picture = tf.cond(is_any_of(2, 3, 6, 7), lambda: tf.reverse(picture, [1]), lambda: picture)
    return tf.cond(is_any_of(3, 4, 7, 8), lambda: tf.reverse(picture, [0]), lambda: picture)


def _exif_of_jpeg(head: tf.Tensor) -> list[tf.Tensor]:
    """Returns start and end of the TIFF data in the EXIF segment, 0 if there is none."""

    def continues(n: tf.Tensor, place: tf.Tensor, found: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        marker = _at(head, place, 2)
        is_segment = (marker[0] == 0xFF) & (marker[1] != 0xDA) & (marker[1] != 0xD9)
        return (n < _MAX_SEGMENTS) & (found == 0) & is_segment

    def step(
        n: tf.Tensor, place: tf.Tensor, found: tf.Tensor, end: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        segment = _at(head, place, 10)
        following = place + 2 + _number(segment[2:4], big=True)
        is_exif = tf.reduce_all(segment[4:] == tf.constant([*b"Exif\0\0"], tf.int64))
        is_exif &= segment[1] == 0xE1
        found, end = tf.where(is_exif, place + 10, found), tf.where(is_exif, following, end)
        return n + 1, following, found, end

    return _walk(continues, step, 2)


def _exif_of_png(head: tf.Tensor) -> list[tf.Tensor]:
    """Returns start and end of the TIFF data in the eXIf chunk before the pixels, or 0."""

    def is_chunk(place: tf.Tensor, name: bytes) -> tf.Tensor:
        return tf.reduce_all(_at(head, place + 4, 4) == tf.constant([*name], tf.int64))

    def continues(n: tf.Tensor, place: tf.Tensor, found: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        inside = place < tf.size(head, tf.int64)
        return (n < _MAX_SEGMENTS) & (found == 0) & inside & ~is_chunk(place, b"IDAT")

    def step(
        n: tf.Tensor, place: tf.Tensor, found: tf.Tensor, end: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        after = place + 8 + _number(_at(head, place, 4), big=True)
        is_exif = is_chunk(place, b"eXIf")
        found, end = tf.where(is_exif, place + 8, found), tf.where(is_exif, after, end)
        return n + 1, after + 4, found, end

    return _walk(continues, step, 8)


def _walk(continues: object, step: object, first: int) -> list[tf.Tensor]:
    start = [tf.constant(value, tf.int64) for value in (0, first, 0, 0)]
    return tf.while_loop(continues, step, start, maximum_iterations=_MAX_SEGMENTS)[2:]


def _in_tiff(tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in the first directory of a TIFF header, or 1 if there is none."""
    header = _at(tiff, tf.constant(0, tf.int64), 8)
    big = header[0] == ord("M")
    known = (header[0] == header[1]) & (big | (header[0] == ord("I")))
    magic = tf.where(big, _number(header[2:4], big=True), _number(header[2:4], big=False)) == 42

    def number(digits: tf.Tensor) -> tf.Tensor:
        return tf.where(big, _number(digits, big=True), _number(digits, big=False))

    directory = number(header[4:8])
    count = number(_at(tiff, directory, 2))
    entries = directory + 2 + 12 * tf.range(_MAX_ENTRIES, dtype=tf.int64)
    present = (tf.range(_MAX_ENTRIES, dtype=tf.int64) < count) & (
        entries + 12 <= tf.size(tiff, tf.int64)
    )
    fields = _at(tiff, entries[:, None], 12)
    kinds = number(fields[:, 2:4])
    values = tf.where(kinds == _SHORT, number(fields[:, 8:10]), number(fields[:, 8:12]))
    matching = present & (number(fields[:, 0:2]) == _TAG) & ((kinds == _SHORT) | (kinds == _LONG))
    found = tf.reduce_max(tf.where(matching, values, 0))
    return tf.where(known & magic & (found >= 1) & (found <= 8), found, 1)


def _at(head: tf.Tensor, place: tf.Tensor, count: int) -> tf.Tensor:
    """Returns ``count`` bytes from a position on; bytes beyond the end are 0."""
    places = place + tf.range(count, dtype=tf.int64)
    inside = (places >= 0) & (places < tf.size(head, tf.int64))
    return tf.where(inside, tf.gather(tf.pad(head, [[0, 1]]), tf.where(inside, places, 0)), 0)


def _number(digits: tf.Tensor, *, big: bool) -> tf.Tensor:
    """Returns the integer that bytes along the last axis encode, big- or little-endian."""
    count = digits.shape[-1]
    powers = [256**n for n in range(count)]
    return tf.reduce_sum(digits * tf.constant(powers[::-1] if big else powers, tf.int64), -1)
