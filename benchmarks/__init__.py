"""Measuring fastconv beside NumPy and beside other libraries; installed as ``fastconv.benchmarks``.

=============  ====================================================================================
`baseline`     convolution by im2col and matmul, pooling, ReLU, linear: pure NumPy
`layers`       shapes of layers, read from ``shapes/*.json``, and the class of each
`timing`       alternating rounds, medians, a limit on BLAS's threads, the machine's peaks
`compare`      one layer at a time: fastconv beside the baseline and the measured FMA peak
`peers`        one layer at a time: fastconv beside other libraries, each in a fresh process
`errors`       rounding errors of every algorithm and library against float64
`engines`      those processes, seen from outside; `worker` is what runs in them
`report`       tables; `chart` draws them; `command` is what the command line runs
`records`      results as JSON lines with what produced them: commit, CPU, compiler, threads
=============  ====================================================================================

`baseline` uses NumPy alone and shares no code with fastconv.
"""
