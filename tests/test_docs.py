"""Every block of the README and the docs is executed or checked against what the code says."""

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.refusal import CODES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
READING_CODES = {
    "empty",
    "truncated",
    "malformed",
    "no_plan",
    "ambiguous",
    "unknown_format",
    "unknown_key",
    "wrong_type",
}
CHECKED = {"python", "console", "json", "text", "spec"}  # spec: tests/test_spec.py, json: below


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


def assert_says_the_same(printed: str, expected: str) -> None:
    """Equal words; equal numbers to 2 %, since another processor may round a sine in another way."""
    number = re.compile(r"-?\d+\.?\d*")
    assert number.sub("#", printed).split() == number.sub("#", expected).split()
    pairs = zip(number.findall(printed), number.findall(expected), strict=True)
    assert all(float(a) == pytest.approx(float(b), rel=0.02, abs=0.005) for a, b in pairs), printed


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_block_is_of_a_kind_that_is_checked(page: Path) -> None:
    assert {language for language, _ in BLOCK.findall(page.read_text())} <= CHECKED


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_python_of_a_page_runs_and_prints_what_the_page_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "scenes", "scenes")
    names: dict[str, object] = {}
    for code, expected in outputs(page):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page.name, "exec"), names)
        assert_says_the_same(printed.getvalue(), expected)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_the_commands_of_a_page_work(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "tests" / "scenes", "scenes")
    Path("plans.jsonl").write_text(json.dumps({"id": "a", "text": '{"skills": [{"skill": "home"}]}'}) + "\n")
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


def test_every_plan_that_a_page_shows_can_be_read() -> None:
    task = wv.load("PickCube-v0")
    bodies = [body for page in PAGES for body in blocks(page, "json")]
    plans = [json.loads(body) if '"contract"' in body else body for body in bodies]  # a contract stands in lines only
    assert plans
    for verdict in wv.verify(task, plans):
        assert verdict.code not in READING_CODES, verdict.reason


def test_the_readme_lists_every_task_and_every_example() -> None:
    text = (ROOT / "README.md").read_text()
    for name in wv.tasks():
        assert name in text
    for example in (ROOT / "examples").glob("*.py"):
        assert f"examples/{example.name}" in text


def test_the_picture_of_the_readme_can_be_drawn(tmp_path: Path) -> None:
    target = tmp_path / "picture.png"
    subprocess.run([sys.executable, ROOT / "examples" / "pass_and_fail.py", target], check=True, capture_output=True)
    assert target.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_the_codes_of_the_verdict_page_exist() -> None:
    page = (ROOT / "docs" / "verdicts.md").read_text()
    section = page.split("## Why physics is not believed")[1].split("## Identity")[0]
    named = re.findall(r"^\| (.*?) \|", section, re.MULTILINE)[2:]
    assert {code for cell in named for code in re.findall(r"`(\w+)`", cell)} <= set(CODES)
