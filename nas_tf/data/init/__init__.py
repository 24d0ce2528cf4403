"""Writes the dataset.yaml of a folder of pictures.

``tree`` finds which files belong together, ``classes`` finds the names of classes and the values
of the masks, ``boxes`` finds files of boxes and their classes, ``restored`` finds clean pictures,
``text`` renders the dataset.yaml, and ``inspection`` combines them. The user's own files are
never changed or moved.
"""

from nas_tf.data.init.inspection import Inspection, inspect, write

__all__ = ["Inspection", "inspect", "write"]
