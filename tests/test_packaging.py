"""The package as it is installed: what is in it, how large it is, what it says of itself."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import fastconv
import fastconv._native

PACKAGE = Path(fastconv.__file__).parent
EXTENSION = Path(fastconv._native.__file__)


def package_files() -> list[Path]:
    return [
        Path(folder, name)
        for folder, _, names in os.walk(PACKAGE, followlinks=True)
        for name in names
        if "__pycache__" not in folder
    ]


def test_the_installed_package_is_small() -> None:
    if b".debug_info" in EXTENSION.read_bytes():
        pytest.skip("this build keeps its symbols (FASTCONV_BUILD_DEBUG or _SANITIZE)")
    assert sum(path.stat().st_size for path in package_files()) < 5_000_000


def test_types_travel_with_the_package() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert (PACKAGE / "_native.pyi").is_file()


def test_the_stub_names_what_the_extension_has() -> None:
    stub = (PACKAGE / "_native.pyi").read_text()
    named = set(re.findall(r"(?m)^(?:def |class )?(\w+)(?=[(:])", stub))
    public = {
        name
        for name, value in vars(fastconv._native).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert named == public


def test_the_c_header_is_shipped_and_compiles_alone(tmp_path: Path) -> None:
    header = Path(fastconv.get_include(), "fastconv.h")
    assert header.is_file()
    source = Path(__file__).resolve().parents[1] / "src_c" / "include" / "fastconv.h"
    if source.is_file():
        assert header.read_bytes() == source.read_bytes()
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    program = tmp_path / "use.c"
    program.write_text("#include <fastconv.h>\nint main(void) { return 0; }\n")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    subprocess.run([compiler, *flags, f"-I{header.parent}", str(program)], check=True)


def test_the_demo_has_its_data() -> None:
    assert [path.name for path in package_files() if path.suffix == ".npz"]


def test_version_is_that_of_the_metadata() -> None:
    try:
        version = importlib.metadata.version("fastconv")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("built in place, not installed")
    assert version == fastconv.__version__


def test_numpy_is_the_only_requirement() -> None:
    try:
        requirements = importlib.metadata.requires("fastconv") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("built in place, not installed")
    always = [line for line in requirements if "extra ==" not in line]
    assert [re.split(r"[^\w]", line)[0] for line in always] == ["numpy"]


def test_without_its_extension_it_says_what_to_do(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "fastconv", ignore=shutil.ignore_patterns("*.so"))
    # -S: without site-packages, where an editable install would still find the extension.
    command = [sys.executable, "-S", "-c", "import fastconv"]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert answer.returncode != 0
    assert "ImportError" in answer.stderr
    assert "pip install" in answer.stderr


def test_the_extension_shows_nothing_but_its_entry() -> None:
    if shutil.which("nm") is None:
        pytest.skip("no nm here")
    listing = subprocess.run(
        ["nm", "-D", "--defined-only", str(EXTENSION)], check=True, capture_output=True, text=True
    ).stdout
    names = {line.split()[-1] for line in listing.splitlines()}
    assert "PyInit__native" in names
    assert not {name for name in names if name.startswith("fc_")}
