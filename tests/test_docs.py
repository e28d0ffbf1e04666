"""What the documents name is there: paths, names, links, commands, variables, the version."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    not (ROOT / "src_c").is_dir(), reason="needs a checkout, not a wheel"
)

DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
    ]
)
# Where a path in prose may start: the project, the C sources, the package, the document's folder.
FOLDERS = ("", "src_c", "fastconv")
PROJECT = ("benchmarks", "docs", "examples", "fastconv", "src_c", "tests", "tools")
FOREIGN = {"Python.h", "immintrin.h", "omp.h", "stddef.h", "stdint.h"}
SUFFIXES = (".c", ".h", ".md", ".py", ".pyi", ".pyx", ".pxd", ".sh", ".toml", ".yaml")
CODE = re.compile(r"```.*?```", flags=re.S)


def spans(text: str) -> list[str]:
    """Inline code of a document, outside its code blocks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", CODE.sub("", text))


def looks_like_a_path(span: str) -> bool:
    """Whether inline code names a file or folder of the project."""
    if not re.fullmatch(r"[\w.<>*-]+(/[\w.<>*-]+)*/?", span):
        return False
    if span.endswith(SUFFIXES):
        return True
    top = span.split("/")[0]
    return "/" in span and any((ROOT / folder / top).exists() for folder in FOLDERS)


def path_exists(span: str, document: Path) -> bool:
    """Whether a path is there; a name without folders may be anywhere in the project's folders."""
    pattern = re.sub(r"<[^>]*>", "*", span.rstrip("/"))
    if span in FOREIGN:
        return True
    homes = [*(ROOT / folder for folder in FOLDERS), document.parent]
    if any(next(iter(home.glob(pattern)), None) is not None for home in homes):
        return True
    if "/" in span:
        return False
    return any(next(iter((ROOT / top).rglob(pattern)), None) for top in PROJECT)


def resolve(name: str) -> object:
    """The object that a dotted name such as `fastconv.nn.Conv2d` stands for."""
    value: object = fastconv
    for number, part in enumerate(name.split(".")[1:], start=2):
        try:
            value = getattr(value, part)
        except AttributeError:
            value = importlib.import_module(".".join(name.split(".")[:number]))
    return value


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_paths_in_backticks_exist(document: Path) -> None:
    paths = [span for span in spans(document.read_text()) if looks_like_a_path(span)]
    assert [path for path in paths if not path_exists(path, document)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    inside = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in inside if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_names_in_backticks_exist(document: Path) -> None:
    for span in spans(document.read_text()):
        found = re.match(r"fastconv(\.[A-Za-z_]\w*)+(?=\(|$)", span)
        if found and not span.endswith(SUFFIXES):
            resolve(found[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_python_examples_run(document: Path, tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(fastconv.__file__).parents[1]), *sys.path])
    for number, example in enumerate(blocks(document.read_text(), "python")):
        script = tmp_path / f"example{number}.py"
        script.write_text(example)
        subprocess.run(
            [sys.executable, str(script)],
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
        )


def test_commands_are_commands_of_the_program() -> None:
    usage = subprocess.run(
        [sys.executable, "-m", "fastconv", "--help"], check=True, capture_output=True, text=True
    ).stdout
    named = {
        command
        for document in DOCUMENTS
        for command in re.findall(r"python -m fastconv ([a-z]+)", document.read_text())
    }
    assert "demo" in named
    assert {command for command in named if not re.search(rf"\b{command}\b", usage)} == set()


def test_extras_in_documents_exist() -> None:
    metadata = (ROOT / "pyproject.toml").read_text()
    for document in DOCUMENTS:
        for extras in re.findall(r"pip install[^\n`]*?\[([a-z,]+)\]", document.read_text()):
            for extra in extras.split(","):
                assert re.search(rf"(?m)^{extra} = \[", metadata), extra


def test_environment_variables_are_documented_and_real() -> None:
    sources = [*ROOT.glob("fastconv/*.py*"), ROOT / "setup.py"]
    quoted = r"[\"'`](FASTCONV_[A-Z_]+)"
    read = {name for path in sources for name in re.findall(quoted, path.read_text())}
    pattern = r"FASTCONV_[A-Z_]+"
    told = {name for path in DOCUMENTS for name in re.findall(pattern, path.read_text())}
    assert read == told


def test_changelog_has_this_version() -> None:
    headings = re.findall(r"(?m)^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == fastconv.__version__


def test_the_rules_can_fail() -> None:
    here = ROOT / "README.md"
    assert looks_like_a_path("src_c/core/no_such_file.c")
    assert not path_exists("src_c/core/no_such_file.c", here)
    assert looks_like_a_path("setup.py")
    assert not path_exists("no_such_file.h", here)
    assert path_exists("simd_*.h", here)
    assert path_exists("isa/simd_<isa>.h", here)
    assert not looks_like_a_path("N/A")
    assert spans("a `b` ```\n`c`\n``` `d`") == ["b", "d"]
    with pytest.raises(ModuleNotFoundError):
        resolve("fastconv.no_such_name")
