"""Builds the C core with the harness of tests/native/ and runs it: sanitized, or under emulation.

The sources and flags are those of setup.py. The harness is one program, called with the name of the
instruction set to force; it exits with 0 if all is right.

Usage: python tools/native.py sanitize | emulate
"""

from __future__ import annotations

import os
import platform
import shlex
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
class Run:
    """One build of the harness and how to run it: the runner comes before the program."""

    isa: str
    machine: str
    compiler: str = "gcc"
    runner: str = ""
    flags: tuple[str, ...] = ("-static",)


# Emulated processors lack what must not run: "qemu64" has SSE2 alone, "max" no AVX-512.
EMULATED = [
    Run("baseline", "x86_64", "x86_64-linux-gnu-gcc", "qemu-x86_64-static -cpu qemu64"),
    Run("avx2", "x86_64", "x86_64-linux-gnu-gcc", "qemu-x86_64-static -cpu max"),
    Run("baseline", "aarch64", "aarch64-linux-gnu-gcc", "qemu-aarch64-static"),
    Run("neon", "aarch64", "aarch64-linux-gnu-gcc", "qemu-aarch64-static"),
]
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"


def sanitized() -> list[Run]:
    """The harness on this machine for every instruction set it has, with leak detection."""
    machine = setup.target_machine(f"-{platform.machine()}")
    flags = ("-O1", "-g", *SANITIZERS.split())
    cpu = Path("/proc/cpuinfo").read_text()
    names = [
        name for name in setup.INSTRUCTION_SETS[machine] if name == "baseline" or has(name, cpu)
    ]
    return [Run(name, machine, flags=flags) for name in names]


def has(isa: str, cpuinfo: str) -> bool:
    """Whether the processor described by /proc/cpuinfo has an instruction set."""
    words = cpuinfo.split()
    needed = {"avx2": ("avx2", "fma"), "avx512": ("avx512f", "avx512vl"), "neon": ("asimd",)}
    return all(word in words for word in needed[isa])


def build(run: Run, folder: Path) -> Path:
    """Compile core, kernels and harness; return the program."""
    sets = setup.INSTRUCTION_SETS[run.machine]
    base = [*setup.KERNEL_FLAGS, *run.flags]
    base += [f"-I{ROOT / name}" for name in setup.INCLUDE_DIRS]
    base += [f"-D{name}={value}" for name, value in setup.have_macros(sets)]
    jobs = {ROOT / f"src_c/isa/{name}.c": [*base, *flags] for name, flags in sets.items()}
    others = [*(ROOT / "src_c/core").glob("*.c"), *(ROOT / "tests/native").glob("*.c")]
    jobs |= {path: [*base, setup.OPENMP_FLAG] for path in sorted(others)}

    def compile_one(source: Path, flags: list[str]) -> str:
        target = folder / f"{source.parent.name}_{source.stem}.o"
        command = [run.compiler, "-c", str(source), "-o", str(target), *flags]
        subprocess.run(command, check=True)
        return str(target)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, jobs, jobs.values()))
    program = folder / "harness"
    link = [run.compiler, *objects, "-o", str(program), *run.flags, setup.OPENMP_FLAG, "-lm"]
    subprocess.run(link, check=True)
    return program


def main(mode: str) -> int:
    """Run every build of a mode; stop at the first that fails."""
    built: dict[tuple[str, str, tuple[str, ...]], Path] = {}
    with tempfile.TemporaryDirectory() as folder:
        for run in EMULATED if mode == "emulate" else sanitized():
            key = (run.machine, run.compiler, run.flags)
            if key not in built:
                home = Path(folder, str(len(built)))
                home.mkdir()
                built[key] = build(run, home)
            command = [*shlex.split(run.runner), str(built[key]), run.isa]
            print(f"{mode}: {run.machine} {run.isa}", flush=True)
            answer = subprocess.run(command, check=False)
            if answer.returncode != 0:
                print(f"{mode}: {run.machine} {run.isa}: exit status {answer.returncode}")
                return 1
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in (["sanitize"], ["emulate"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
