"""Every block of the README and the docs is executed or checked against what the code says."""

import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.refusal import CODES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CHECKED = {"python", "console", "json", "text", ""}


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(page.read_text()) if found == language]


def outputs(page: Path) -> list[tuple[str, str]]:
    """A Python block and the text block right after it, if there is one."""
    found = BLOCK.findall(page.read_text())
    return [
        (body, found[i + 1][1] if i + 1 < len(found) and found[i + 1][0] == "text" else "")
        for i, (language, body) in enumerate(found)
        if language == "python"
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    assert {language for language, _ in BLOCK.findall(page.read_text())} <= CHECKED


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code, expected in outputs(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        assert printed.getvalue().strip() == expected.strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in "".join(blocks(page, "console")).splitlines():
        if not line.startswith("$ "):
            continue
        words = line[2:].split("#")[0].split()
        if words[0] == "make":
            subprocess.run([*words[:1], "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        elif words[0] == "worldverify":
            with contextlib.redirect_stdout(io.StringIO()):
                assert main(words[1:]) == 0, line
        elif words[0] == "python":
            subprocess.run([sys.executable, str(ROOT / words[1]), *words[2:]], check=True, capture_output=True)
        else:
            assert words[:2] in (["pip", "install"], ["git", "clone"]), line


def test_the_readme_lists_every_task_and_every_example() -> None:
    text = (ROOT / "README.md").read_text()
    for name in wv.tasks():
        assert name in text
    for example in (ROOT / "examples").glob("*.py"):
        assert f"examples/{example.name}" in text


def test_the_codes_of_the_verdict_page_exist() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()
    section = page.split("## Why physics is not believed")[1].split("## Identity")[0]
    named = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)[2:]
    assert {code for cell in named for code in re.findall(r"`(\w+)`", cell)} <= set(CODES)
