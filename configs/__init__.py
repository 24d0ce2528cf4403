"""Experiments, one YAML each; installed as ``nas_tf.configs``."""
