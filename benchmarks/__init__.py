"""Measuring fastconv beside NumPy; installed as ``fastconv.benchmarks``.

=============  ====================================================================================
`baseline`     convolution by im2col and matmul, max pooling, ReLU, linear: pure NumPy
`layers`       the shapes of well-known networks' convolutions, read from ``shapes/*.json``
`timing`       alternating rounds, medians, and a limit on the threads of NumPy's BLAS
`compare`      one layer at a time: fastconv beside the baseline and the measured FMA peak
`records`      results as JSON lines with what produced them: commit, CPU, compiler, threads
=============  ====================================================================================

`baseline` uses NumPy alone and shares no code with fastconv.
"""
