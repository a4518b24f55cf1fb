"""Pictures of the tasks, and the names below them."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

import worldverify as wv
from worldverify.cli import main
from worldverify.lettering import HEIGHT, WIDTH, word, write
from worldverify.render import Camera, Painter
from worldverify.sheet import SIZE, draw_each, draw_sheet, picture, sheet
from worldverify.testing import toy_task
from worldverify.usage import UsageError

PNG = b"\x89PNG\r\n\x1a\n"
SMALL = (96, 72)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    names = ("ReachSafe-v0", "PutInBasket-v0", "AppleInBowl-v0")
    monkeypatch.setattr("worldverify.sheet.tasks", lambda: names)
    return names


def test_a_picture_has_the_size_that_was_asked_for() -> None:
    assert picture(toy_task(), size=SMALL).shape == (72, 96, 3)


@pytest.mark.parametrize("name", ["ReachSafe-v0", "LiberoTable-v0", "AppleInBowl-v0"])
def test_everything_that_a_task_speaks_of_is_in_its_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("worldverify.sheet.Painter", lambda *a, **o: seen.append(o["camera"]) or Painter(*a, **o))
    task = wv.load(name)
    picture(task, size=SMALL)
    (camera,) = seen
    data = task.scene.data(task.start())
    mujoco.mj_forward(task.scene.model, data)
    points = [data.body(n).xpos if n in bodies(task) else data.site(n).xpos for n in task.objects]
    points += [data.site("tool").xpos, data.body("link4").xpos]
    assert np.abs(on_screen(camera, np.array(points), 4 / 3)).max() < 1


def bodies(task: wv.Task) -> list[str]:
    return [task.scene.model.body(i).name for i in range(task.scene.model.nbody)]


def on_screen(camera: Camera, points: Any, aspect: float) -> Any:
    """(n, 2) where points are seen: -1 to 1 from edge to edge."""
    a, e = np.radians(camera.azimuth_deg), np.radians(camera.elevation_deg)
    forward = np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
    right = np.array([np.sin(a), -np.cos(a), 0.0])
    assert camera.distance is not None and camera.lookat is not None
    way = points - (np.array(camera.lookat) - camera.distance * forward)
    assert (way @ forward > 0).all()
    half = np.tan(np.radians(camera.fovy_deg) / 2) * (way @ forward)
    return np.stack([way @ right / (aspect * half), way @ np.cross(right, forward) / half], axis=1)


def test_a_scene_without_a_camera_of_its_own_is_seen_whole() -> None:
    image = picture(toy_task(), size=SMALL)
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 20


def test_a_letter_is_five_dots_by_seven() -> None:
    shape = "\n".join("".join(".#"[dot] for dot in row) for row in word("T", scale=1).astype(int))
    assert shape == "#####.\n" + "\n".join(["..#..."] * 6)


def test_a_word_grows_with_its_letters_and_its_scale() -> None:
    assert word("Pick-v0", scale=3).shape == (3 * HEIGHT, 3 * (WIDTH + 1) * 7)
    assert (word("HI")[:, : 2 * (WIDTH + 1)] == word("H")).all()


def test_every_letter_of_the_names_is_known_and_no_two_look_alike() -> None:
    letters = sorted({letter for name in wv.tasks() for letter in name} | set("0123456789"))
    shapes = {word(letter).tobytes() for letter in letters}
    assert len(shapes) == len(letters) and word("\u00e4").tobytes() not in shapes


def test_what_does_not_fit_is_cut_off() -> None:
    image = np.full((8, 20, 3), 255, np.uint8)
    write(image, "WWWWWW", top=4, centre=10, ink=0)
    assert (image[:4] == 255).all() and (image[4:] == 0).any()


def test_a_sheet_holds_every_picture_above_its_name() -> None:
    images = [np.full((60, 90, 3), grey, np.uint8) for grey in (10, 20, 30)]
    whole = sheet(["A", "B", "C"], images, columns=2)
    for grey in (10, 20, 30):
        assert (whole == grey).all(axis=2).sum() == 60 * 90
    assert whole.shape[1] < 2 * 100 < whole.shape[0] + 60


def test_all_tasks_are_drawn_into_one_file(few: tuple[str, ...], tmp_path: Path) -> None:
    target = tmp_path / "all.png"
    draw_sheet(str(target))
    assert target.read_bytes()[:8] == PNG


def test_each_task_is_drawn_into_a_file_of_its_name(few: tuple[str, ...], tmp_path: Path) -> None:
    draw_each(str(tmp_path / "new"))
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert set(drawn) == {f"{name}.png" for name in few} and all(data[:8] == PNG for data in drawn.values())
    assert len(set(drawn.values())) == len(few)


@pytest.mark.parametrize("option", ["--sheet", "--pictures"])
def test_the_command_draws(
    few: tuple[str, ...],
    option: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", option, "here"]) == 0
    assert capsys.readouterr().out in ("Picture: here\n", "Pictures: here\n") and Path("here").exists()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worldverify.sheet.picture", lambda task: pytest.fail("drawn"))
    with pytest.raises(UsageError, match="Cannot write"):
        draw_sheet(str(tmp_path / "no" / "such" / "folder.png"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="Cannot write"):
        draw_each(str(tmp_path / "file"))


def test_the_command_refuses_a_name_beside_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "PickCube-v0", "--sheet", "x.png"]) == 2
    assert "leave the name out" in capsys.readouterr().err


def test_every_task_has_its_picture_for_the_readme(root: Path) -> None:
    for name in wv.tasks():
        data = (root / "docs" / "pictures" / "tasks" / f"{name}.png").read_bytes()
        assert data[:8] == PNG and tuple(int.from_bytes(data[i : i + 4]) for i in (16, 20)) == SIZE
