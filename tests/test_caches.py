"""The private folder: whose it is, what is read back from it, and what keeps kernels apart."""

import os
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from worldverify.engines import caches
from worldverify.engines.caches import (
    cache_folder,
    kernel_folder,
    read_json,
    use_kernel_caches,
    wanted_folder,
    write_json,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WORLDVERIFY_CACHE", str(tmp_path / "mine"))
    return tmp_path / "mine"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_the_users_own(folder: Path) -> None:
    assert cache_folder() == folder
    assert mode(folder) == 0o700
    assert mode(kernel_folder()) == 0o700


def test_it_is_where_a_user_would_look_for_it() -> None:
    assert wanted_folder({"XDG_CACHE_HOME": "/caches"}) == Path("/caches/worldverify")
    usual = Path(os.path.expanduser("~/.cache")) / "worldverify"
    assert wanted_folder({}) == usual
    assert wanted_folder({"XDG_CACHE_HOME": "relative"}) == usual
    assert wanted_folder({"XDG_CACHE_HOME": "/caches", "WORLDVERIFY_CACHE": "/mine"}) == Path("/mine")


@pytest.mark.parametrize("others", [0o702, 0o720, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(folder: Path, others: int) -> None:
    folder.mkdir()
    folder.chmod(others)
    (folder / "kept.json").write_text("1", encoding="utf-8")
    with pytest.warns(RuntimeWarning, match=r"Others may write to the cache folder .* WORLDVERIFY_CACHE"):
        assert cache_folder() != folder
    assert mode(cache_folder()) == 0o700
    assert read_json("kept") is None


def test_a_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_folder()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.warns(RuntimeWarning, match="belongs to another user"):
        assert cache_folder() != folder


def test_where_no_folder_can_be_made_a_temporary_one_serves_until_the_end(folder: Path) -> None:
    folder.write_text("a file", encoding="utf-8")
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "from worldverify.engines.caches import *\n"
        "assert write_json('kept', [1]) and read_json('kept') == [1]\n"
        "print(cache_folder())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


def test_what_is_kept_is_read_back(folder: Path) -> None:
    assert read_json("kept") is None
    value = {"a": [1, 2.5, None], "b": "ä"}
    assert write_json("kept", value)
    assert read_json("kept") == value
    assert write_json("kept", 1)
    assert read_json("kept") == 1
    assert [file.name for file in folder.iterdir()] == ["kept.json"]
    assert mode(folder / "kept.json") == 0o600


@pytest.mark.parametrize("text", ["", "{", "[1, 2", "\0\0", "[" * 100_000, '"\ud83d"'.encode("utf-8", "surrogatepass")])
def test_what_is_torn_counts_as_absent(folder: Path, text: str | bytes) -> None:
    cache_folder()
    (folder / "kept.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_json("kept") is None


def test_a_disk_that_is_full_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert write_json("kept", 1)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not write_json("kept", 2)
    assert read_json("kept") == 1
    assert [file.name for file in folder.iterdir()] == ["kept.json"]


@pytest.mark.parametrize("name", ["", ".", "../up", "a/b", ".hidden", "a b"])
def test_a_name_is_a_plain_one(name: str, folder: Path) -> None:
    with pytest.raises(ValueError, match="cannot name what is kept"):
        read_json(name)


def test_kernels_of_other_versions_and_cpus_lie_apart(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {kernel_folder()}
    monkeypatch.setattr(caches, "version_of", lambda name: "9.9")
    found.add(kernel_folder())
    monkeypatch.setattr(caches, "cpu_type", lambda: "another")
    found.add(kernel_folder())
    assert len(found) == 3


@pytest.fixture
def compilers(monkeypatch: pytest.MonkeyPatch) -> tuple[SimpleNamespace, SimpleNamespace]:
    """The settings of a JAX and of a Warp that nobody has touched."""
    jax_config = SimpleNamespace(jax_compilation_cache_dir=None)
    jax_config.update = lambda name, value: setattr(jax_config, name, value)
    warp_config = SimpleNamespace(kernel_cache_dir=None, log_level=20)
    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(config=jax_config))
    fake = SimpleNamespace(config=warp_config, LOG_WARNING=30, init=lambda: None)
    monkeypatch.setitem(sys.modules, "warp", fake)
    monkeypatch.setattr(caches, "find_spec", lambda name: name)
    monkeypatch.delenv("WARP_CACHE_PATH", raising=False)
    return jax_config, warp_config


def test_jax_and_warp_keep_their_kernels_there(folder: Path, compilers: tuple[SimpleNamespace, ...]) -> None:
    use_kernel_caches.__wrapped__()
    jax, warp = compilers
    assert jax.jax_compilation_cache_dir == str(kernel_folder() / "jax")
    assert warp.kernel_cache_dir == str(kernel_folder() / "warp")
    assert warp.log_level == 30


def test_the_folders_that_a_user_chose_are_left_alone(
    folder: Path, compilers: tuple[SimpleNamespace, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    jax, warp = compilers
    jax.jax_compilation_cache_dir = "chosen"
    monkeypatch.setenv("WARP_CACHE_PATH", "chosen")
    use_kernel_caches.__wrapped__()
    assert (jax.jax_compilation_cache_dir, warp.kernel_cache_dir) == ("chosen", None)
    monkeypatch.delenv("WARP_CACHE_PATH")
    warp.kernel_cache_dir, warp.log_level = "chosen too", 40
    use_kernel_caches.__wrapped__()
    assert (warp.kernel_cache_dir, warp.log_level) == ("chosen too", 40)


def test_a_machine_without_warp_has_a_cache_for_jax(
    folder: Path, compilers: tuple[SimpleNamespace, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "find_spec", lambda name: None)
    use_kernel_caches.__wrapped__()
    assert compilers[0].jax_compilation_cache_dir and compilers[1].kernel_cache_dir is None


def test_what_is_no_folder_is_not_asked_to_be_deleted() -> None:
    said = caches.fault_of(Path("/dev/null"))
    assert said is not None and "is no folder" in said and "delete" not in said


def test_what_native_code_says_of_a_missing_driver_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    caches._without_native_words(lambda: os.write(2, b"no driver\n"))
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"
