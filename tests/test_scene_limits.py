"""Scenes that would take minutes or all memory are refused before MuJoCo reads or builds them."""

import os
import struct
from collections.abc import Callable
from pathlib import Path

import mujoco
import pytest

import worldverify as wv
from worldverify.scene_limits import MOST_CELLS, MOST_CHAIN, MOST_MESHES, MOST_PIXELS
from worldverify.scene_text import MOST_ELEMENTS, MOST_NESTED, MOST_TEXT, attributes, check_text, tags
from worldverify.sources import read_scene

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 13, b"IHDR")


def scene(inside: str = "", first: str = "", last: str = "") -> str:
    """A pendulum, and what else stands in its world, before it and after it."""
    return f"""
    <mujoco model="bomb">{first}
      <worldbody>
        <body name="rod"><joint name="swing"/><geom size=".05"/></body>{inside}
      </worldbody>
      <actuator><motor joint="swing"/></actuator>{last}
    </mujoco>
    """


def asset(element: str) -> str:
    return scene(first=f"<asset>{element}</asset>")


def refusal(source: str | Path) -> str:
    with pytest.raises(wv.Refusal) as refused:
        read_scene(source)
    assert (refused.value.code, refused.value.cause) == ("bad_model", "model")
    return str(refused.value)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# What the text makes


@pytest.mark.parametrize(
    "inside",
    [
        '<replicate count="1000000" offset="1 0 0"><geom size=".1"/></replicate>',
        '<replicate count="2000000000"/>',
        '<replicate count="&#49;000000"><geom size=".1"/></replicate>',
        '<replicate count="30">' * 3 + '<geom size=".1"/>' + "</replicate>" * 3,
        '<flexcomp name="soft" type="grid" count="5000 5000 5000" spacing="1 1 1" dim="3"/>',
        '<flexcomp name="soft" type="grid" count="20 20 20" spacing="1 1 1" dim="3"/>',
        '<replicate count="100"><flexcomp name="soft" count="9 9 9" rigid="true"/></replicate>',
        '<flexcomp name="soft" count="3 3 3" dof="trilinear" cellcount="1000 1000 1000"/>',
        '<geom size=".1"/>' * MOST_ELEMENTS,
        "<body>" * MOST_ELEMENTS,
    ],
)
def test_more_elements_than_can_be_read_are_counted_with_their_copies(inside: str) -> None:
    assert f"more than {MOST_ELEMENTS:,} elements" in refusal(scene(inside))


def test_what_can_be_read_is_left_alone() -> None:
    many = '<replicate count="40"><replicate count="40"><geom size=".1"/></replicate></replicate>'
    negative = '<replicate count="-5"><geom size=".1"/></replicate>'
    commented = '<!-- <replicate count="1000000"> -- --><![CDATA[<replicate count="1000000">]]>'
    model = read_scene(scene(many + negative + commented)).mjspec.compile()
    assert model.ngeom == 1 + 40 * 40


def test_the_text_is_taken_apart_as_an_xml_reader_does() -> None:
    text = "<?xml a='>'?><!DOCTYPE m><m x = \"1>2\" y='&lt;&quot;'><!-- <no> --><n/></m><"
    found = [(closes, name, attributes(rest)) for closes, name, rest in tags(text)]
    assert found == [(False, "m", {"x": "1>2", "y": '<"'}), (False, "n", {}), (True, "m", {})]


def test_entities_and_files_outside_of_a_text_are_not_expanded() -> None:
    entities = '<!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY b "&a;&a;&a;">]>'
    source = read_scene(entities + scene().replace("bomb", "&b;"))
    assert source.label == "&b;"


def test_elements_nested_deeper_than_any_scene_are_refused() -> None:
    assert "nesting is too deep" in refusal(scene("<body>" * 1000 + "</body>" * 1000))


def test_built_in_meshes_of_too_many_points_are_refused() -> None:
    for kind, numbers in (("supersphere", "100000 1 1"), ("wedge", "9 9999 60 30 0"), ("cone", "inf .1")):
        text = asset(f'<mesh name="ball" builtin="{kind}" params="{numbers}"/>')
        assert "use lower resolutions" in refusal(text)


def test_a_text_of_many_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "long.xml").open("wb") as file:
        file.truncate(5 * 2**30)
    assert f"The text of long.xml is longer than {MOST_TEXT >> 20} MB" in refusal(tmp_path / "long.xml")
    parts = "".join(f'<include file="{name}.xml"/>' for name in "abc")
    for name in "abc":
        written(tmp_path / f"{name}.xml", "<mujoco>" + " " * (MOST_TEXT // 2))
    assert "The text of whole.xml is longer" in refusal(written(tmp_path / "whole.xml", scene(parts)))


# Files that name files


def test_elements_of_other_files_count(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub" / "more.xml", "<mujoco>" + "<site/>" * 30 + "</mujoco>")
    written(tmp_path / "sub" / "part.xml", '<mujoco><include file="more.xml"/></mujoco>')
    inside = '<replicate count="1000"><include file="sub/part.xml"/></replicate>'
    assert "elements" in refusal(written(tmp_path / "main.xml", scene(inside)))


def test_attached_models_count_each_time(tmp_path: Path) -> None:
    for level in range(5):
        child = f'<asset><model name="m" file="{level + 1}.xml"/></asset>'
        copies = "".join(f'<attach model="m" body="rod" prefix="{i}"/>' for i in range(10))
        written(tmp_path / f"{level}.xml", scene(copies, first=child))
    written(tmp_path / "5.xml", scene())
    assert "counting what replicate, flexcomp and attach copy" in refusal(tmp_path / "0.xml")
    assert read_scene(tmp_path / "4.xml").mjspec.compile().ngeom == 11


def test_a_model_that_attaches_itself_is_refused(tmp_path: Path) -> None:
    child = '<asset><model name="m" file="self.xml"/></asset>'
    text = scene('<attach model="m" body="rod" prefix="x"/>', first=child)
    assert "self.xml attaches itself" in refusal(written(tmp_path / "self.xml", text))


def test_files_that_include_one_another_are_refused(tmp_path: Path) -> None:
    for one, other in ("ab", "ba"):
        written(tmp_path / f"{one}.xml", scene(f'<include file="{other}.xml"/>'))
    assert "already included" in refusal(tmp_path / "a.xml")


def test_a_long_row_of_files_is_refused(tmp_path: Path) -> None:
    for i in range(MOST_NESTED + 1):
        written(tmp_path / f"{i}.xml", f'<mujoco><include file="{i + 1}.xml"/></mujoco>')
    assert f"more than {MOST_NESTED} files" in refusal(tmp_path / "0.xml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes need a POSIX system")
def test_what_is_no_regular_file_is_never_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.obj")
    for text in (scene('<include file="pipe.obj"/>'), asset('<model name="m" file="pipe.obj"/>')):
        assert "is not a file with XML" in refusal(written(tmp_path / "main.xml", text))
    text = asset('<mesh name="m" file="pipe.obj"/>')
    assert "is no file with data" in refusal(written(tmp_path / "main.xml", text))
    with pytest.raises(FileNotFoundError, match="No model file"):
        read_scene(tmp_path / "pipe.obj")


# Numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *(
            (scene(first=f"<size {size}/>"), words)
            for size, words in (
                ('memory="10T"', "asks for 10,995,116,277,760 bytes of memory: at most 1,073,741,824 are allowed."),
                ('nstack="1000000000"', "nstack"),
                ('njmax="1000000"', "constraints (njmax)"),
                ('nconmax="2000000000"', "contacts (nconmax)"),
                ('nuserdata="100000000"', "nuserdata"),
                ('nkey="1000000"', "keyframes (nkey)"),
                ('nuser_geom="2000000000"', "nuser_geom"),
            )
        ),
        *(
            (scene(first=f'<option {option}="2000000000"/>'), option)
            for option in ("iterations", "ls_iterations", "noslip_iterations", "ccd_iterations", "sdf_initpoints")
        ),
        *(
            (scene(first=f"<visual><{element}/></visual>"), words)
            for element, words in (
                ('global offwidth="2000000000" offheight="2000000000"', "pixels of an image"),
                ('quality shadowsize="2000000000"', "shadowsize"),
                ('quality offsamples="2000000000"', "offsamples"),
                ('quality numslices="2000000000"', "numslices"),
            )
        ),
        *(
            (scene(last=f"<sensor>{sensor}</sensor>"), words)
            for sensor, words in (
                ('<user dim="2000000000"/>', "values of sensors"),
                ('<contact body1="rod" num="2000000000"/>', "values of sensors"),
                ('<clock nsample="16000000" delay="1"/>', "delayed samples"),
            )
        ),
        (
            scene(
                '<camera name="eye" resolution="100000 100000"/>', last='<sensor><rangefinder camera="eye"/></sensor>'
            ),
            "values of sensors",
        ),
        (asset('<hfield name="h" nrow="100000" ncol="100000" size="1 1 1 1"/>'), "use fewer rows and columns"),
        (asset('<texture name="t" builtin="flat" type="2d" width="100000" height="100000"/>'), "pixels of textures"),
        (asset('<texture name="t" builtin="flat" type="cube" width="10000" height="10000"/>'), "pixels of textures"),
    ],
)
def test_a_number_that_cannot_be_built_is_refused_with_the_most_that_can(text: str, words: str) -> None:
    assert words in refusal(text)


def test_a_chain_of_more_bodies_than_mujoco_can_compile_is_refused() -> None:
    links = "".join(f'<link name="l{i}"/>' for i in range(MOST_CHAIN + 2))
    joints = "".join(
        f'<joint name="j{i}" type="fixed"><parent link="l{i}"/><child link="l{i + 1}"/></joint>'
        for i in range(MOST_CHAIN + 1)
    )
    assert "bodies that hang one from another" in refusal(f'<robot name="r">{links}{joints}</robot>')


# Assets in files


def png(width: int, height: int) -> bytes:
    """The beginning of an image, which says how large it is."""
    return PNG + struct.pack(">II", width, height) + b"\x08\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("element", "name", "content", "words"),
    [
        ("texture type='2d'", "t.png", png(30_000, 30_000), f"textures: at most {MOST_PIXELS:,} are allowed."),
        ("hfield size='1 1 1 1'", "h.png", png(9_000, 9_000), f"height fields: at most {MOST_CELLS:,} are allowed."),
        ("mesh", "m.stl", MOST_MESHES + 1, f"bytes of mesh files: at most {MOST_MESHES:,} are allowed."),
        ("hfield size='1 1 1 1'", "h.bin", 4 * MOST_CELLS + 8, "cells in files of height fields"),
    ],
)
def test_a_file_that_holds_more_than_can_be_built_is_refused(
    element: str, name: str, content: bytes | int, words: str, tmp_path: Path
) -> None:
    with (tmp_path / name).open("wb") as file:
        if isinstance(content, int):
            file.truncate(content)
        else:
            file.write(content)
    path = written(tmp_path / "scene.xml", asset(f'<{element} name="a" file="{name}"/>'))
    assert words in refusal(path)


def test_what_is_checked_before_reading_costs_no_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Callable[[], None]:
        raise AssertionError("MuJoCo was asked to read it")

    monkeypatch.setattr(mujoco.MjSpec, "from_string", never)
    refusal(scene('<replicate count="1000000"><geom size=".1"/></replicate>'))
    check_text(scene(), "a scene")
