"""The include and import rules of docs/architecture.md, enforced on the sources.

Each rule is a function of one file's text that returns its violations, so that the tests can also
show that the rule does catch what it forbids.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fastconv"
SOURCES = ROOT / "src_c"

pytestmark = pytest.mark.skipif(not SOURCES.is_dir(), reason="needs a checkout, not a wheel")

# A module may import its own layer and those below it.
LAYERS = (
    ("errors", "_cgroup"),
    ("shapes", "_fits", "_axes"),
    ("_native", "_views"),
    ("_arguments", "runtime", "_resize"),
    ("_conv_plans", "_volume_plans", "_image_plans", "_plans", "_tuning"),
    ("functional",),
    ("nn",),
    ("graph",),
    ("onnx", "compat"),
    ("networks",),
    ("benchmarks", "plot"),
    ("demo",),
    ("cli", "_cli_networks"),
    ("__main__",),
    ("__init__",),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# From here upward they are programs on top of the library, and may use `fastconv`'s own names.
PROGRAMS = RANKS["plot"]
STANDARD_LIBRARY_ONLY = (*LAYERS[0], *LAYERS[1])

LIBC = {"float.h", "limits.h", "math.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
INTRINSICS = re.compile(r"\w*intrin\.h|arm_\w+\.h")
FORBIDDEN_CALLS = re.compile(
    r"\b(printf|fprintf|puts|perror|abort|exit|_exit|assert|errno|setenv|putenv)\b\s*[(=]?"
)
ALLOCATION = re.compile(r"\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign|alloca)\s*\(")

FILE_LINES = 450
FUNCTION_LINES = 75


def fastconv_imports(tree: ast.AST, module: str) -> Iterator[str]:
    """Names of fastconv's modules that a module imports ("" for the package's own names)."""
    package = module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = node.module or ""
            if node.level:
                above = package[: len(package) + 1 - node.level]
                stem = ".".join([*above, stem] if stem else above)
            found = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            parts = name.split(".")
            if parts[0] == "fastconv" and parts[1:] != ["__version__"]:
                yield parts[1] if len(parts) > 1 and parts[1] in RANKS else ""


def import_violations(module: str, text: str) -> list[str]:
    """Imports that point upward, for a dotted module name such as `fastconv.nn.conv`."""
    own = module.split(".")[1]
    rank = RANKS[own]
    bad = []
    for name in fastconv_imports(ast.parse(text), module):
        if name == "":
            if rank < PROGRAMS:
                bad.append(f"{module} uses fastconv's own top-level names")
        elif RANKS[name] > rank:
            bad.append(f"{module} imports {name}, which is above it")
    return bad


def outside_imports(text: str) -> set[str]:
    """Top-level names of what a module imports from outside fastconv."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").split(".")[0])
    return found - {"fastconv"}


def code(text: str) -> str:
    """C text without comments and string literals."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r"(?m)^(?!\s*#\s*include)(.*)$", lambda m: re.sub(r'"[^"\n]*"', '""', m[1]), text)


def includes(text: str) -> list[tuple[str, bool]]:
    """Each include as (name, quoted)."""
    found = re.findall(r'(?m)^\s*#\s*include\s*([<"])([^>"]+)[>"]', code(text))
    return [(name, mark == '"') for mark, name in found]


def include_violations(path: str, text: str) -> list[str]:
    """Broken include rules of one file, `path` relative to src_c/."""
    folder, name = path.split("/")[0], path.split("/")[-1]
    bad = []
    for header, quoted in includes(text):
        if header.split("/")[0] in ("Python.h", "numpy"):
            bad.append(f"{path}: Python's headers stay out of src_c ({header})")
        if INTRINSICS.fullmatch(header) and not (folder == "isa" and name.startswith("simd_")):
            bad.append(f"{path}: only isa/simd_*.h include intrinsics ({header})")
        if header == "omp.h" and path != "core/parallel.h":
            bad.append(f"{path}: only core/parallel.h includes omp.h")
        if name == "fastconv.h" and header not in ("stdint.h", "stddef.h"):
            bad.append(f"{path}: the contract needs <stdint.h> and <stddef.h> alone ({header})")
        if folder == "core" and header.split("/")[-1].startswith("simd_"):
            bad.append(f"{path}: core/ never sees a vector vocabulary ({header})")
        if folder in ("isa", "kernels") and not kernel_may_include(header, quoted):
            bad.append(f"{path}: kernels include each other and libc alone ({header})")
    return bad


def kernel_may_include(header: str, quoted: bool) -> bool:
    """Whether isa/ and kernels/ may see a header (who sees intrinsics is a rule of its own)."""
    if quoted:
        return header.split("/")[0] in ("isa", "kernels")
    return header in LIBC or INTRINSICS.fullmatch(header) is not None


def call_violations(path: str, text: str) -> list[str]:
    """Prints, aborts, errno anywhere; allocation in kernels."""
    bad = [f"{path}: {hit[1]}" for hit in FORBIDDEN_CALLS.finditer(code(text))]
    if path.split("/")[0] in ("isa", "kernels"):
        bad += [f"{path}: a kernel allocates ({hit[1]})" for hit in ALLOCATION.finditer(code(text))]
    return bad


def long_functions(path: str, text: str) -> list[str]:
    """Functions over the limit: Python by its syntax tree, C by clang-format's layout."""
    spans: list[tuple[str, int]] = []
    if path.endswith(".py"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                start = node.body[0]
                if isinstance(start, ast.Expr) and isinstance(start.value, ast.Constant):
                    first = (start.end_lineno or start.lineno) + 1  # docstrings are free
                else:
                    first = start.lineno
                spans.append((node.name, (node.end_lineno or first) - first + 1))
    else:
        begun: tuple[str, int] | None = None
        for number, line in enumerate(text.splitlines()):
            if line.startswith("}"):
                if begun is not None:
                    spans.append((begun[0], number - begun[1]))
                begun = None
            elif re.fullmatch(r"[A-Za-z_].*\) \{", line) or line == "{":
                begun = (line, number)
    return [f"{path}: {name} has {n} lines" for name, n in spans if n > FUNCTION_LINES]


def python_modules() -> list[Path]:
    return sorted([*PACKAGE.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])


def dotted(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(["fastconv", *parts] if parts[0] == "benchmarks" else parts)


def c_files() -> list[Path]:
    return sorted(path for path in SOURCES.rglob("*.[ch]"))


def relative(path: Path) -> str:
    return path.relative_to(SOURCES).as_posix()


def hand_written() -> list[Path]:
    folders = ("benchmarks", "examples", "tests", "tools")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [*python_modules(), *PACKAGE.glob("_native.py*"), *c_files(), *found, ROOT / "setup.py"]


def test_there_is_something_to_check() -> None:
    assert len(python_modules()) > 5
    assert len(c_files()) > 5


def test_every_module_has_a_rank() -> None:
    ranked = {dotted(path).split(".")[1] for path in python_modules()}
    assert ranked <= RANKS.keys(), "give the new module its place in LAYERS"


@pytest.mark.parametrize("path", python_modules(), ids=dotted)
def test_imports_point_downward(path: Path) -> None:
    assert import_violations(dotted(path), path.read_text()) == []


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_shapes_and_errors_need_the_standard_library_only(name: str) -> None:
    foreign = outside_imports((PACKAGE / f"{name}.py").read_text()) - set(sys.stdlib_module_names)
    assert foreign == set()


@pytest.mark.parametrize("path", c_files(), ids=relative)
def test_includes(path: Path) -> None:
    assert include_violations(relative(path), path.read_text()) == []


@pytest.mark.parametrize("path", c_files(), ids=relative)
def test_quoted_includes_exist_inside_src_c(path: Path) -> None:
    for name, quoted in includes(path.read_text()):
        homes = [path.parent, SOURCES, SOURCES / "include"]
        assert not quoted or any((home / name).is_file() for home in homes), name


@pytest.mark.parametrize("path", c_files(), ids=relative)
def test_c_code_neither_prints_nor_aborts(path: Path) -> None:
    assert call_violations(relative(path), path.read_text()) == []


def test_cython_sees_the_contract_only() -> None:
    text = "\n".join(path.read_text() for path in sorted(PACKAGE.glob("*.p[yx][xdi]")))
    headers = set(re.findall(r'cdef extern from\s+[<"]([^>"]+)[>"]', text))
    assert "fastconv.h" in headers
    assert not {name for name in headers if name.split("/")[0] in ("core", "isa", "kernels")}
    assert "prange" not in text


@pytest.mark.parametrize("path", hand_written(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= FILE_LINES
    if not path.name.endswith((".tmpl.h", ".pyx", ".pyi")):  # register-tile kernels are excepted
        assert long_functions(path.name, text) == []


def test_importing_fastconv_needs_numpy_alone() -> None:
    program = (
        "import sys, numpy; before = set(sys.modules); import fastconv; "
        "print(*sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    new = answer.stdout.split()
    assert "fastconv._native" in new
    roots = {name.split(".")[0] for name in new} - {"fastconv", "numpy"}
    roots = {name for name in roots if not re.match(r"_?cython_", name)}
    assert roots <= set(sys.stdlib_module_names)
    on_demand = {"benchmarks", "cli", "demo", "plot"}
    assert not on_demand & {name.split(".")[1] for name in new if name.startswith("fastconv.")}


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("fastconv.shapes", "from fastconv.nn import Conv2d"),
        ("fastconv.functional", "from . import nn"),
        ("fastconv.functional", "def f():\n    from .nn.conv import Conv2d"),
        ("fastconv.nn.conv", "import fastconv.cli"),
        ("fastconv.nn.conv", "from ..graph import ir"),
        ("fastconv.nn.conv", "import fastconv"),
        ("fastconv.errors", "from ._native import status"),
    ],
)
def test_the_import_rule_catches(module: str, text: str) -> None:
    assert len(import_violations(module, text)) == 1


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("fastconv.nn.conv", "from ..functional import conv2d\nfrom .module import Module"),
        ("fastconv.nn.__init__", "from .conv import Conv2d\nfrom .. import shapes"),
        ("fastconv.demo.run", "import fastconv\nfrom fastconv.benchmarks import baseline"),
    ],
)
def test_the_import_rule_allows(module: str, text: str) -> None:
    assert import_violations(module, text) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/conv.c", "#include <immintrin.h>"),
        ("isa/avx2.c", "#  include <immintrin.h>"),
        ("kernels/gemm.tmpl.h", "#include <arm_neon.h>"),
        ("core/program.c", "#include <omp.h>"),
        ("core/program.c", "#include <Python.h>"),
        ("core/program.c", '#include "isa/simd_avx2.h"'),
        ("include/fastconv.h", "#include <stdio.h>"),
        ("kernels/gemm.tmpl.h", '#include "core/program.h"'),
        ("isa/avx2.c", '/* why */ \n#include "include/fastconv.h"'),
        ("kernels/gemm.tmpl.h", "#include <stdlib.h>"),
    ],
)
def test_the_include_rule_catches(path: str, text: str) -> None:
    assert len(include_violations(path, text)) == 1


def test_the_include_rule_allows_what_the_architecture_says() -> None:
    assert include_violations("isa/simd_avx2.h", "#include <immintrin.h>") == []
    assert include_violations("core/parallel.h", "#include <omp.h>") == []
    assert include_violations("isa/avx2.c", '#include "kernels/gemm.tmpl.h"') == []
    assert include_violations("core/a.c", "/* #include <omp.h> */ // #include <Python.h>") == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/a.c", 'void f(void) { printf("%d", 1); }'),
        ("core/a.c", "void f(void) { errno = 1; }"),
        ("kernels/a.tmpl.h", "void *p = malloc(3);"),
    ],
)
def test_the_call_rule_catches(path: str, text: str) -> None:
    assert len(call_violations(path, text)) == 1


def test_the_call_rule_reads_code_only() -> None:
    assert call_violations("core/a.c", '/* abort() */ const char *s = "exit(1)";') == []


def test_the_length_rule_catches() -> None:
    body = "    x = 1\n" * (FUNCTION_LINES + 1)
    assert len(long_functions("a.py", f"def f():\n{body}")) == 1
    assert len(long_functions("a.c", f"int f(int x) {{\n{body}}}\n")) == 1
    assert long_functions("a.c", f"int f(int x) {{\n{body[: len(body) // 2]}}}\n") == []
