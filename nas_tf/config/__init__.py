"""Configurations.

| file | content |
|---|---|
| ``schema.py`` | every key: type, range, default, meaning |
| ``load.py`` | reads YAML and overrides, writes YAML |
| ``suggestions.py`` | the key that an unknown one was probably meant to be |
| ``conflicts.py`` | keys whose values exclude each other |
| ``fixed_parts.py`` | parts of the space that an earlier run found, in progressive searches |
| ``paths.py`` | files and folders that a configuration names |
| ``resumed.py`` | the changes that a resumed run accepts |
| ``rerank.py`` | a run's configuration with longer training |
"""

from nas_tf.config.load import dump, load, names
from nas_tf.config.schema import Config

__all__ = ["Config", "dump", "load", "names"]
