"""Trains and scores one network, and holds what all candidates of a search share.

``from_config`` builds what a configuration describes, ``own_data`` completes it for a user's own
folder, and ``preflight`` checks it. ``shared_data`` opens the data and the cached features:
``features`` is the cache that stage one trains on, ``encoding`` fills it, ``shards`` stores it on
disk, and ``split_cache`` builds it for a split of a data set. ``two_stage`` evaluates candidates
with a ``gate`` and ``guards``; ``full`` and ``full_run`` train one network in full. Both use
``learner``, ``optimizers``, ``hardware`` and ``scoring``.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.training.features import CacheKey, FeatureCache, fingerprint, prepare  # noqa: E402

__all__ = ["CacheKey", "FeatureCache", "fingerprint", "prepare"]
