"""Builds the C core with the harness of tests/native/ and runs it: plain, sanitized, or emulated.

The sources and flags are those of setup.py; tests/native/main.c says which arguments the harness
takes.

Usage: python tools/native.py plain | sanitize | emulate ...
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import setup  # noqa: E402


@dataclass(frozen=True)
class Build:
    """One build of the harness, and the commands that run it ("{}" is the program)."""

    machine: str
    compiler: str
    flags: str
    commands: tuple[str, ...]


MACHINE = setup.target_machine(f"-{platform.machine()}")
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
# Emulated processors: Nehalem has SSE4 alone, "max" AVX2 but no AVX-512. What one lacks must be
# refused, what was compiled without flags must run there. QEMU 7.2 reads the lanes that vmaskmov
# masks off, which processors do not: hence --readable-guards.
BUILDS = {
    "plain": (Build(MACHINE, "gcc", "-Wpedantic -Werror", ("{}",)),),
    "sanitize": (Build(MACHINE, "gcc", f"-O1 -g1 {SANITIZERS}", ("{} --small",)),),
    "emulate": (
        Build(
            "x86_64",
            "x86_64-linux-gnu-gcc",
            "-static",
            (
                "qemu-x86_64-static -cpu Nehalem {} --small --without avx2 --without avx512",
                "qemu-x86_64-static -cpu max {} --small --readable-guards --without avx512 avx2",
            ),
        ),
        Build(
            "aarch64",
            "aarch64-linux-gnu-gcc",
            "-static",
            ("qemu-aarch64-static {} --small --without avx2 baseline neon",),
        ),
    ),
}
# Threads that spin between the harness's many small cases cost more than the cases.
ENVIRONMENT = {"OMP_WAIT_POLICY": "passive"}


def compile_harness(build: Build, folder: Path) -> Path:
    """Compile core, kernels and harness; return the program."""
    sets = setup.INSTRUCTION_SETS[build.machine]
    base = [*setup.KERNEL_FLAGS, *build.flags.split()]
    base += [f"-I{ROOT / name}" for name in setup.INCLUDE_DIRS]
    base += [f"-D{name}={value}" for name, value in setup.have_macros(sets)]
    jobs = {ROOT / f"src_c/isa/{name}.c": [*base, *flags] for name, flags in sets.items()}
    others = [*(ROOT / "src_c/core").glob("*.c"), *(ROOT / "tests/native").glob("*.c")]
    jobs |= {path: [*base, setup.OPENMP_FLAG] for path in sorted(others)}

    def compile_one(source: Path, flags: list[str]) -> str:
        target = folder / f"{source.parent.name}_{source.stem}.o"
        command = [build.compiler, "-c", str(source), "-o", str(target), *flags]
        subprocess.run(command, check=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, jobs, jobs.values()))
    program = folder / "harness"
    flags = [*build.flags.split(), setup.OPENMP_FLAG, "-lm"]
    subprocess.run([build.compiler, *objects, "-o", str(program), *flags], check=True)
    return program


def main(modes: list[str]) -> None:
    """Run every command of the modes' builds, side by side; the first that fails raises."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = []
        for number, (mode, build) in enumerate((m, b) for m in modes for b in BUILDS[m]):
            target = Path(folder, str(number))
            target.mkdir()
            program = compile_harness(build, target)
            for command in build.commands:
                runs.append((f"{mode}, {build.machine}: {command}", command.format(program)))
        results = pool.map(lambda run: run_harness(run[1]), runs)
        for (title, _), result in zip(runs, results, strict=True):
            print(title, result.stdout, sep="\n", flush=True)
            result.check_returncode()


def run_harness(command: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, its errors among its output."""
    return subprocess.run(
        command.split(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **ENVIRONMENT},
    )


if __name__ == "__main__":
    if len(sys.argv) < 2 or not set(sys.argv[1:]) <= set(BUILDS):
        sys.exit(__doc__)
    main(sys.argv[1:])
