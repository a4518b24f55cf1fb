"""What doctor finds, on machines that are and are not as they should be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from worldverify import doctor
from worldverify.cli import main
from worldverify.doctor import Check, as_json, as_text, examine


def found(name: str, checks: list[Check]) -> Check:
    return next(check for check in checks if check.name == name)


def test_this_machine_can_use_worldverify(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    assert "worldverify can be used here." in capsys.readouterr().out


def test_the_checks_are_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["usable"] is True
    assert {"name", "state", "text"} == said["checks"][0].keys()


def test_every_thing_is_looked_at_once() -> None:
    names = [check.name for check in examine()]
    assert len(names) == len(set(names))
    assert {"python", "mujoco", "jax", "gpu", "cpus", "memory", "rendering", "caches"} <= set(names)


def test_an_import_that_fails_is_broken_and_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    monkeypatch.setenv("MUJOCO_GL", "egl")
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "Broken: simulator." in out
    assert "Unset MUJOCO_GL" in out


@pytest.mark.parametrize(
    ("version", "state", "says"),
    [
        (None, "broken", "pip install 'mujoco>=3.17'"),
        ("3.2.1", "broken", "too old"),
        ("4.0.0", "note", "sparse solver"),
        ("4.0.1", "ok", "4.0.1"),
        ("3.17.0rc1", "ok", "3.17.0rc1"),
    ],
)
def test_a_version_is_missing_old_known_to_be_bad_or_good(
    version: str | None, state: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: version if name == "mujoco" else "9.9")
    check = found("mujoco", examine())
    assert check.state == state
    assert says in check.text


def test_jax_and_jaxlib_of_different_versions_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: "1.0" if name == "jax" else "9.9")
    assert any(check.state == "note" and "should be the same" in check.text for check in examine())


def test_a_gpu_is_named_by_its_driver(tmp_path: Path) -> None:
    card = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA Something\nIRQ:   \t\t 100\n")
    assert "NVIDIA Something" in found("gpu", examine(tmp_path)).text


def test_a_quota_of_the_container_is_shown(tmp_path: Path) -> None:
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("150000 100000\n")
    assert "quota worth 1.5" in found("cpus", examine(tmp_path)).text


def test_little_memory_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1000000 kB\nMemAvailable: 500000 kB\n")
    check = found("memory", examine(tmp_path))
    assert check.state == "note"
    assert "0.5 of 1.0 GiB free" in check.text


def test_an_opengl_that_nothing_needs_is_a_note() -> None:
    check = found("rendering", examine(environ={"MUJOCO_GL": "egl"}))
    assert check.state == "note"
    assert "MUJOCO_GL=egl" in check.text


def test_a_cache_that_was_chosen_is_shown() -> None:
    environ = {"JAX_COMPILATION_CACHE_DIR": "somewhere"}
    assert "JAX_COMPILATION_CACHE_DIR=somewhere" in found("caches", examine(environ=environ)).text


def test_what_is_broken_is_summed_up() -> None:
    checks = [Check("a", "ok", "x"), Check("b", "broken", "y"), Check("c", "broken", "z")]
    assert as_text(checks).endswith("Broken: b, c.")
    assert json.loads(as_json(checks))["usable"] is False


def test_doctor_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom worldverify.cli import main\nstatus = main(['doctor'])\n"
        "sys.exit(status or any(m in sys.modules for m in ('jax', 'jaxlib', 'warp', 'mujoco.mjx')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
