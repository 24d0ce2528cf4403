"""How ONE network is trained.

``features`` is the cache of encoder features that stage one trains on; ``encoding`` fills it and
``shards`` keeps it on disk.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.training.features import CacheKey, FeatureCache, fingerprint, prepare  # noqa: E402

__all__ = ["CacheKey", "FeatureCache", "fingerprint", "prepare"]
