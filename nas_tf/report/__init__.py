"""Pictures and tables of genotypes and runs; loads no TensorFlow.

``panels`` lays a genotype out as nodes and arrows, ``graph`` draws it.
"""
