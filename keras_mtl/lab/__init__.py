"""The laboratory: experiments, comparisons, benchmarks, command line.

Nothing outside imports it, but for `keras_mtl.compare` and
`keras_mtl.benchmark`, which are loaded on demand.
"""
