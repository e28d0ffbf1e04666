# ---- instruction sets

def isa_compiled():
    """Names of the instruction sets compiled in, best first."""
    names = []
    while fc_isa_name(len(names)) != NULL:
        names.append(fc_isa_name(len(names)).decode())
    return names


def isa_supported(str name):
    """Whether this machine runs that instruction set."""
    return bool(fc_isa_supported(name.encode()))


def isa_active():
    """The instruction set that programs are planned for from now on."""
    return fc_isa_active().decode()


def isa_select(name):
    """Force an instruction set by name, or choose the best with None."""
    if name is None:
        check(fc_isa_select(NULL))
    else:
        check(fc_isa_select((<str?>name).encode()))


def kernel_calls():
    """How often kernels of each instruction set have been entered: {name: count}."""
    return {name: fc_isa_kernel_calls(name.encode()) for name in isa_compiled()}


def fma_peak(double seconds=0.05, str dtype="float32"):
    """Multiply-adds in registers, one thread, active instruction set -> GFLOP/s."""
    cdef fc_dtype code = {"float32": 0, "float64": 1}[dtype]
    cdef double rate
    with nogil:
        rate = fc_fma_peak(code, seconds)
    return rate


# ---- threads

thread_context = contextvars.ContextVar("fastconv_threads")
cdef int threads_set = 0          # set_num_threads or FASTCONV_NUM_THREADS; 0: none
cdef int cpu_limit_override = 0   # for tests; 0: detect
cdef int cgroup_limit = 0         # from the container's quota; 0: none
cdef int workspace_fill = -1


def has_openmp():
    """Whether OpenMP is compiled in."""
    return bool(fc_has_openmp())


def openmp_max_threads():
    """What OpenMP would use in this thread now."""
    return fc_openmp_max_threads()


def affinity_cpus():
    """CPUs in the affinity mask; 0 where the system does not tell."""
    return fc_affinity_cpus()


def compiler():
    """Name and version of the C compiler."""
    return COMPILER.decode()


def is_forked_child():
    """Whether this process is a child of fork without exec."""
    return bool(fc_is_forked_child())


def set_thread_default(int count):
    """The default number of threads; 0: what OpenMP says."""
    global threads_set
    threads_set = count


def get_thread_default():
    """The default number of threads; 0: what OpenMP says."""
    return threads_set


def set_cgroup_limit(int count):
    """CPUs granted by the container's quota; 0: no quota."""
    global cgroup_limit
    cgroup_limit = count


def get_cgroup_limit():
    """CPUs granted by the container's quota; 0: no quota."""
    return cgroup_limit


def set_cpu_limit(int count):
    """Override the detected limit of CPUs, for tests that oversubscribe; 0: detect again."""
    global cpu_limit_override
    cpu_limit_override = count


def get_cpu_limit():
    """The override of the detected limit; 0: none."""
    return cpu_limit_override


def last_num_threads():
    """Team size of the last program that the calling thread ran."""
    return last_team_size


def set_workspace_fill(int byte):
    """Fill workspaces with this byte before each run (tests); -1: leave them."""
    global workspace_fill
    workspace_fill = byte


cdef int capped(int count):
    """`count` within the affinity mask and the container's quota."""
    cdef int limit
    if cpu_limit_override > 0:
        return min(count, cpu_limit_override)
    limit = fc_affinity_cpus()
    if limit > 0 and limit < count:
        count = limit
    if cgroup_limit > 0 and cgroup_limit < count:
        count = cgroup_limit
    return count


cdef int requested(object num_threads) except -1:
    cdef PyObject *value = NULL
    if num_threads is None:
        PyContextVar_Get(thread_context, NULL, &value)
        if value != NULL:
            num_threads = <object>value
            Py_DECREF(num_threads)
    if num_threads is None:
        return threads_set if threads_set > 0 else fc_openmp_max_threads()
    if isinstance(num_threads, bool) or not hasattr(num_threads, "__index__"):
        raise TypeError(f"num_threads: expected an integer, got {num_threads!r}")
    if num_threads < 1:
        raise ValueError(f"num_threads: expected 1 or more, got {num_threads}")
    return min(num_threads, 1 << 16)


def thread_limit(num_threads=None):
    """How many threads a call made here and now may use."""
    return 1 if fc_is_forked_child() else capped(requested(num_threads))
