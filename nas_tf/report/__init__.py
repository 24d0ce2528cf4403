"""Makes pictures and tables of genotypes and runs, without TensorFlow.

``diagrams`` lays a genotype out as nodes and arrows, and ``graph`` draws it. ``run_statistics``
(numbers), ``plots`` (figures) and ``page`` (HTML) make the report of a run, ``comparison`` and
``comparison_page`` that of several runs, ``reranked`` that of a reranking, ``study`` that of a
study. ``document`` holds the style of figures and writes pages, ``formatting`` formats numbers for
readers.
"""
