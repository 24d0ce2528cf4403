"""Pictures and tables of genotypes and runs; loads no TensorFlow.

``panels`` lays a genotype out as nodes and arrows, ``graph`` draws it. ``facts``, ``plots`` and
``page`` are a run's report: numbers, pictures, HTML; ``comparison`` and the two files named after
it are the same for several runs, ``reranked`` for a reranking. ``document`` writes them.
"""
