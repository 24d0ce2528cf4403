"""How ONE network is trained.

``features`` is the cache of encoder features that stage one trains on; ``cache_key`` names it,
``encoding`` fills it, ``shards`` keeps it on disk, ``split_cache`` makes it of a data set's split.
"""

from nas_tf import quiet

quiet.load("tensorflow")

from nas_tf.training.features import CacheKey, FeatureCache, fingerprint, prepare  # noqa: E402  # noqa: E402

__all__ = ["CacheKey", "FeatureCache", "fingerprint", "prepare"]
