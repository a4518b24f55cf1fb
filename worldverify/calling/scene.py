"""What a text said, in a scene: names become those of the scene, and positions become numbers."""

from collections.abc import Iterable, Mapping, Sequence

from worldverify.calling.position import Coordinate, evaluate, from_json
from worldverify.describe import shorten
from worldverify.nearest import did_you_mean
from worldverify.refusal import Refusal

_ARTICLES = ("the_", "a_", "an_")


def candidates(said: str) -> tuple[str, ...]:
    """The names that a text may mean by `said`; the first that is in a scene is meant.

    "<can>" may be `can`, and "the Blue block" `the_Blue_block`, `the_blue_block` or `blue_block`. Nothing is guessed.
    """
    bare = said.strip().removeprefix("<").removesuffix(">").strip()
    joined = "_".join(bare.split())
    lower = joined.lower()
    rest = [lower.removeprefix(article) for article in _ARTICLES if lower.startswith(article)]
    return tuple(dict.fromkeys((said, bare, joined, lower, *rest)))


def scene_name(said: str, known: Iterable[str]) -> str:
    """The name in a scene that `said` means. Raises Refusal (unknown_object) with the names that there are."""
    names = list(known)
    for name in candidates(said):
        if name in names:
            return name
    hint = did_you_mean(candidates(said)[-1], names)
    raise Refusal("unknown_object", f"The text names {shorten(said)}, which is not in the scene. {hint}")


def names_of(skills: Sequence[Mapping[str, object]]) -> tuple[str, ...]:
    """The objects whose positions the skills need, as said."""
    coordinates = [from_json(item) for skill in skills for item in _position(skill)]
    terms = [term.of for item in coordinates if isinstance(item, Coordinate) for term in item.terms]
    return tuple(dict.fromkeys(terms))


def in_scene(
    skills: Sequence[Mapping[str, object]], known: Iterable[str], where: Mapping[str, Sequence[float]]
) -> tuple[dict[str, object], ...]:
    """Skills with the names of a scene and with positions in m. A height that the text leaves open stays None.

    `known` are the names of the scene. `where` is where each object is, (x, y, z) in m at the start of the plan and in
    the frame in which the text gives positions. Raises Refusal for a name that is not in the scene.
    """
    names = list(known)
    return tuple(_settled(skill, names, where) for skill in skills)


def _settled(skill: Mapping[str, object], names: list[str], where: Mapping[str, Sequence[float]]) -> dict[str, object]:
    settled = dict(skill)
    for key in ("object", "target"):
        said = skill.get(key)
        if isinstance(said, str):
            settled[key] = scene_name(said, names)
    places = {said: where[scene_name(said, names)] for said in names_of([skill])}
    for key in ("position", "target"):
        if isinstance(skill.get(key), list | tuple):
            numbers = [from_json(item) for item in _position(skill)]
            settled[key] = [None if number is None else evaluate(number, places) for number in numbers]
    return settled


def _position(skill: Mapping[str, object]) -> Sequence[object]:
    position = skill.get("position", skill.get("target"))
    return position if isinstance(position, list | tuple) else ()
