"""KerasTuner oracles for any HyperModel of discrete hyperparameters.

This package imports keras_tuner and tf_agents and never nas_tf.
"""
