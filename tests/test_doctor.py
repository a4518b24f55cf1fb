"""What doctor finds, on machines that are and are not as they should be."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from worldverify import doctor
from worldverify.cli import main
from worldverify.doctor import Check, as_json, as_text, examine
from worldverify.engines import device, selftest
from worldverify.kernels.engine import Engine
from worldverify.kernels.mujoco_cpu import MujocoEngine


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
    monkeypatch.setattr(doctor, "version_of", lambda name: version if name == "mujoco" else "9.9")
    check = found("mujoco", examine())
    assert check.state == state
    assert says in check.text


def test_jax_and_jaxlib_of_different_versions_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "version_of", lambda name: "1.0" if name == "jax" else "9.9")
    assert any(check.state == "note" and "should be the same" in check.text for check in examine())


def a_card(root: Path) -> Path:
    """The files by which a driver tells of its GPU."""
    card = root / "proc/driver/nvidia/gpus/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t\t NVIDIA Something\nIRQ:   \t\t 100\n")
    (root / "proc/driver/nvidia/version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sat\n")
    (root / "dev").mkdir()
    return root


def test_a_machine_without_a_gpu_is_a_machine_to_use(tmp_path: Path) -> None:
    check = found("gpu", examine(tmp_path))
    assert check.state == "ok"
    assert "no NVIDIA driver" in check.text


def test_a_gpu_out_of_reach_is_named_by_its_driver(tmp_path: Path) -> None:
    check = found("gpu", examine(a_card(tmp_path)))
    assert check.state == "note"
    assert "NVIDIA Something" in check.text and "--gpus all" in check.text


@pytest.mark.parametrize(
    ("missing", "driver", "state", "says"),
    [
        (None, "", "ok", "NVIDIA Something with NVIDIA driver 580.65.06."),
        ("JAX has no plugin: install it.", "", "note", "JAX has no plugin"),
        (None, "driver 535 is older than 580", "note", "older than 580"),
    ],
)
def test_a_gpu_that_is_there_lacks_nothing_or_is_told_what(
    missing: str | None, driver: str, state: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (a_card(tmp_path) / "dev/nvidia0").touch()
    monkeypatch.setattr(device, "loads", lambda library: True)
    monkeypatch.setattr(doctor, "packages_refusal", lambda impl, environ: missing)
    monkeypatch.setattr(doctor, "driver_note", lambda version: driver)
    check = found("gpu", examine(tmp_path, {}))
    assert check.state == state
    assert says in check.text


def test_a_warp_that_mjx_cannot_use_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "warp_version_refusal", lambda: "warp-lang 1.19 is installed, but 1.18 is needed.")
    assert found("warp-lang", examine()).text == "warp-lang 1.19 is installed, but 1.18 is needed."


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


def test_the_folder_of_kernels_is_shown_with_its_size_and_is_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    environ = {"WORLDVERIFY_CACHE": str(folder)}
    assert "not there yet" in found("caches", examine(environ=environ)).text
    assert not folder.exists()
    (folder / "kernels").mkdir(parents=True, mode=0o700)
    (folder / "kernels" / "one").write_bytes(b"0" * 2**20)
    assert "1.0 MiB" in found("caches", examine(environ=environ)).text
    folder.chmod(0o777)
    check = found("caches", examine(environ=environ))
    assert check.state == "note"
    assert "Others may write" in check.text


def test_self_tests_stand_beside_the_checks_in_json() -> None:
    assert json.loads(as_json([Check("a", "ok", "x")], [{"engine": "mujoco"}]))["selftests"] == [{"engine": "mujoco"}]


def test_the_self_test_of_an_engine_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--selftest", "--engine", "mujoco"]) == 0
    out = capsys.readouterr().out
    assert "worldverify can be used here." in out
    assert "mujoco on the cpu" in out and "passed 14 checks" in out and "ok      gravity" in out


def test_the_self_tests_are_in_the_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--selftest", "--engine", "mujoco", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["selftests"]
    assert one["engine"] == "mujoco" and one["passed"] is True and one["seconds"] > 0


def test_an_engine_that_fails_its_self_test_is_exit_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def weightless(model: Any, nlane: int) -> Engine:
        model.opt.gravity[:] = 0.0
        return MujocoEngine(model, nlane)

    monkeypatch.setattr(selftest, "makers", lambda backend: (weightless, None))
    assert main(["doctor", "--selftest", "--engine", "mujoco"]) == 1
    assert "WRONG   gravity" in capsys.readouterr().out


def test_an_engine_that_was_named_must_be_there_and_the_others_need_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selftest, "gpu_refusal", lambda impl: "There is none.")
    monkeypatch.setattr(selftest, "mjx_refusal", lambda impl: "MJX is not installed.")
    assert main(["doctor", "--selftest"]) == 0
    assert "mjx-jax on the cpu: not tried. " in capsys.readouterr().out
    assert main(["doctor", "--selftest", "--engine", "mjx-jax"]) == 1


@pytest.mark.parametrize("arguments", [["--selftest", "--engine", "mjx"], ["--engine", "mujoco"]])
def test_what_cannot_be_tested_is_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", *arguments]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("worldverify: ") and said.out == ""


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


def test_a_cache_folder_that_cannot_be_made_is_noted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (caches,) = (
        check for check in examine(environ={"WORLDVERIFY_CACHE": str(tmp_path / "file/x")}) if check.name == "caches"
    )
    assert caches.state == "note" and "cannot be made" in caches.text


def test_a_self_test_that_cannot_run_refuses_the_engine_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: Any, nlane: int) -> Engine:
        raise RuntimeError("no such device")

    monkeypatch.setattr(selftest, "makers", lambda backend: (broken, None))
    with pytest.raises(selftest.SelfTestFailed, match=r"could not run \(RuntimeError: no such device\): use another"):
        selftest.require_backend(selftest.MUJOCO)
