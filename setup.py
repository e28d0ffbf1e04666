"""Builds fastconv's extension; the metadata is in pyproject.toml.

The C kernels are templates compiled once for each instruction set, each with its own flags, so
their objects are built here, with setuptools' public compiler methods, and linked into
`fastconv._native`. The tables below are the single owner of all compiler flags; `tools/native.py`
reads them too.

Environment: `FASTCONV_BUILD_OPENMP=0` builds serial, `FASTCONV_BUILD_SANITIZE=address,undefined`
builds with sanitizers, `FASTCONV_BUILD_DEBUG=1` keeps symbols.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError
from setuptools.modified import newer_group

HEADER = Path("src_c/include/fastconv.h")
INCLUDE_DIRS = ["src_c/include", "src_c"]
KERNEL_FLAGS = ["-O3", "-std=gnu11", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra"]
OPENMP_FLAG = "-fopenmp"

# One row per instruction set: target machine -> name -> flags of src_c/isa/<name>.c. "baseline" is
# what the target guarantees; core/ is compiled with that alone and chooses among the rest when run.
INSTRUCTION_SETS: dict[str, dict[str, list[str]]] = {
    "x86_64": {
        "baseline": [],
        "avx2": ["-mavx2", "-mfma"],
        "avx512": ["-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"],
    },
    "aarch64": {"baseline": [], "neon": []},
    "other": {"baseline": []},
}

OPENMP_PROBE = """
#include <omp.h>
int main(void) {
    int sum = 0;
#pragma omp parallel for reduction(+ : sum) num_threads(2)
    for (int i = 0; i < 100; i++) sum += i;
    return sum == 4950 && omp_get_max_threads() > 0 ? 0 : 1;
}
"""

OPENMP_WARNING = """
*******************************************************************************
fastconv: OpenMP does not work with this compiler ({error}).
fastconv: building SERIAL, every operator will run on one thread. To have threads, install
fastconv: libgomp or name another compiler (CC=...) and build again. FASTCONV_BUILD_OPENMP=0
fastconv: builds serial without this warning.
*******************************************************************************
"""


def target_machine(platform: str) -> str:
    """Row of `INSTRUCTION_SETS` for a platform tag such as `linux-x86_64`."""
    if platform.endswith(("x86_64", "amd64")):
        return "x86_64"
    if platform.endswith(("aarch64", "arm64")):
        return "aarch64"
    return "other"


def have_macros(names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Macros that tell core/ which instruction sets are compiled in (baseline always is)."""
    return [(f"FC_HAVE_{name.upper()}", "1") for name in names if name != "baseline"]


def sanitizer_flags() -> list[str]:
    """Compiler and linker flags for the sanitizers named in the environment."""
    names = os.environ.get("FASTCONV_BUILD_SANITIZE", "")
    if not names:
        return []
    return [f"-fsanitize={names}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def headers() -> list[str]:
    """All headers and kernel templates: whatever changes here rebuilds everything."""
    return sorted(str(path) for path in Path("src_c").rglob("*.h"))


class BuildKernels(build_ext):
    """`build_ext` that also compiles src_c/, each instruction set with its own flags."""

    def run(self) -> None:
        """Build, then put the C header where `fastconv.get_include()` finds it."""
        super().run()
        header = Path(self._header_copy())
        header.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HEADER, header)

    def build_extensions(self) -> None:
        """Find out what this build is, then build the extension."""
        if self.compiler.compiler_type != "unix":
            found = self.compiler.compiler_type
            raise CCompilerError(f"fastconv is GNU C: build it with gcc or clang, not {found!r}")
        self.openmp = self._openmp_works()
        self._rebuild_on_new_flags()
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        """Compile the kernels, translate the Cython bridge, then compile and link it."""
        import numpy
        from Cython.Build import cythonize

        ext.extra_objects = self._compile_kernels()
        ext.extra_compile_args = ["-fvisibility=hidden", *self._variant_flags()]
        ext.extra_link_args = self._link_flags()
        ext.include_dirs = [*INCLUDE_DIRS, numpy.get_include()]
        (translated,) = cythonize(  # type: ignore[no-untyped-call]
            [ext],
            build_dir=self.build_temp,
            compiler_directives={"language_level": 3},
            force=self.force,
            quiet=not self.verbose,
        )
        ext.sources = translated.sources
        ext.depends = [*ext.extra_objects, *headers()]
        super().build_extension(ext)

    def get_outputs(self) -> list[str]:
        """Also list the copy of the C header."""
        return [*super().get_outputs(), self._header_copy()]

    def _header_copy(self) -> str:
        extension = Path(self.get_ext_fullpath("fastconv._native"))
        return str(extension.parent / "include" / HEADER.name)

    def _variant_flags(self) -> list[str]:
        """Flags of this build's kind: sanitized, debug, or (by default) without symbols."""
        sanitize = sanitizer_flags()
        if sanitize:
            # lines are what reports name; to follow variables takes gcc four times as long
            return ["-O1", "-g1", *sanitize]
        return ["-g"] if os.environ.get("FASTCONV_BUILD_DEBUG") == "1" else ["-g0"]

    def _link_flags(self) -> list[str]:
        flags = sanitizer_flags()
        if self.openmp:
            flags.append(OPENMP_FLAG)
        if "-g0" in self._variant_flags() and self.plat_name.startswith("linux"):
            flags.append("-Wl,--strip-all")
        return flags

    def _compile_kernels(self) -> list[str]:
        """Compile what is out of date of src_c/core/*.c and src_c/isa/*.c, in parallel."""
        sets = INSTRUCTION_SETS[target_machine(self.plat_name)]
        base = [*KERNEL_FLAGS, *self._variant_flags()]
        jobs = {f"src_c/isa/{name}.c": [*base, *flags] for name, flags in sets.items()}
        core = [*base, OPENMP_FLAG] if self.openmp else base
        jobs |= {str(path): core for path in sorted(Path("src_c/core").glob("*.c"))}
        shared = headers()

        def compile_one(source: str, flags: list[str]) -> list[str]:
            objects: list[str] = self.compiler.object_filenames([source], "", self.build_temp)
            if self.force or newer_group([source, *shared], objects[0]):
                self.compiler.compile(
                    [source],
                    output_dir=self.build_temp,
                    macros=have_macros(sets),
                    include_dirs=INCLUDE_DIRS,
                    extra_postargs=flags,
                )
            return objects

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [name for names in pool.map(compile_one, jobs, jobs.values()) for name in names]

    def _rebuild_on_new_flags(self) -> None:
        """Force a full rebuild when anything but a source file differs from the last build."""
        seen = [
            self.compiler.compiler_so,
            self._variant_flags(),
            self._link_flags(),
            Path(__file__).read_text(),
        ]
        stamp = Path(self.build_temp, "flags.txt")
        if not stamp.exists() or stamp.read_text() != repr(seen):
            self.force = True
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text(repr(seen))

    def _openmp_works(self) -> bool:
        """Compile, link and (unless cross compiling) run a small OpenMP program."""
        if os.environ.get("FASTCONV_BUILD_OPENMP") == "0":
            print("fastconv: building serial, because FASTCONV_BUILD_OPENMP=0", file=sys.stderr)
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(OPENMP_PROBE)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=[OPENMP_FLAG]
                )
                program = str(Path(folder, "probe"))
                self.compiler.link_executable(objects, program, extra_postargs=[OPENMP_FLAG])
                if not self._cross_compiling():
                    subprocess.run([program], check=True, timeout=60)
            except (CCompilerError, OSError, subprocess.SubprocessError) as error:
                print(OPENMP_WARNING.format(error=error), file=sys.stderr)
                return False
        return True

    def _cross_compiling(self) -> bool:
        return target_machine(self.plat_name) != target_machine(f"-{os.uname().machine}") or (
            "_PYTHON_HOST_PLATFORM" in os.environ and sysconfig.get_platform() != self.plat_name
        )


if __name__ == "__main__":
    setup(
        ext_modules=[
            Extension(
                "fastconv._native",
                ["fastconv/_native.pyx"],
                libraries=["m"],
                define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION")],
            )
        ],
        cmdclass={"build_ext": BuildKernels},
    )
