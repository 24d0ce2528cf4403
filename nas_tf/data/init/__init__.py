"""Describes a folder of pictures and masks by a dataset.yaml, so that nobody has to write one.

``tree`` finds which files belong together, ``masks`` reads a part of the label files, ``names``
finds names of classes, ``text`` writes it all down. No file of the user's is changed or moved.
"""

from nas_tf.data.init.inspection import Inspection, inspect, write

__all__ = ["Inspection", "inspect", "write"]
