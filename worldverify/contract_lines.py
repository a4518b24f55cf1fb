"""A contract in words."""

from worldverify.action import TIMED, ActionSpec

_USES = {"pick_place": "pick, then place", "path": "pass through"}


def contract_lines(spec: ActionSpec, rate_hz: float | None = None) -> tuple[tuple[str, str], ...]:
    """What a contract says, label by label; `rate_hz` is that of a plan, where the contract leaves it open."""
    lines = [("contract", f"{spec.name}, version {spec.version}")]
    if spec.arms:
        lines += [("arms", ", ".join(f"{arm} ({part.width} numbers)" for arm, part in spec.arms))]
        lines += [(f"{arm} {label}", said) for arm, part in spec.arms for label, said in _space(part)]
    else:
        lines += _space(spec)
    rate = rate_hz or spec.rate_hz
    if spec.syntax in TIMED:
        lines.append(("rate", "stated by the plan" if rate is None else f"{rate:g} Hz"))
    if spec.chunk is not None:
        lines.append(("chunks", f"{spec.chunk} actions each, of which {spec.execute} are carried out"))
    if spec.controller is not None:
        law = spec.controller
        response = f"its ideal response, kp {law.kp:g} 1/s^2 and damping {law.damping:g}"
        lines.append(("controller", f"{law.name}: followed here by inverse kinematics on {response}"))
    return tuple(lines)


def _space(spec: ActionSpec) -> list[tuple[str, str]]:
    lines = []
    if spec.layout:
        lines.append(("action", ", ".join(f"{name} ({width})" if width > 1 else name for name, width in spec.layout)))
    kinds = dict.fromkeys(kind for _, kind in spec.representation)
    lines.append(("numbers are", ", ".join(kind.replace("_", " ") for kind in kinds)))
    units = {"thousandths": "thousandths of the image", "pixels": "pixels of the image", "m/s": "m/s, turns in rad/s"}
    lines.append(("unit", units.get(spec.position_unit, spec.position_unit)))
    if spec.frame != "none":
        lines.append(("frame", spec.frame))
    if spec.rotation != "none" and spec.layout:
        unit = "" if spec.rotation_unit == "none" else f" in {spec.rotation_unit}"
        side = "" if spec.rotation_side == "none" else f", multiplied on the {spec.rotation_side}"
        sign = ", with its sign turned" if spec.rotation_sign < 0 else ""
        lines.append(("rotation", f"{spec.rotation}{unit}{side}{sign}"))
    scale = spec.normalisation
    if scale.kind != "none" or scale.encoding != "numbers":
        given = "statistics still to be given" if spec.needs_statistics else _bounds(spec)
        lines.append(("normalisation", f"{scale.kind}, {scale.encoding}, {given}"))
    for limits in spec.ranges:
        columns = list(zip(*limits[1:], strict=True))  # low, high, to_low, to_high of each number
        alike = len(set(columns)) == 1
        scaled = [f"{low:g} to {high:g} means {to_low:g} to {to_high:g}" for low, high, to_low, to_high in columns]
        policy = "clipped" if spec.range_policy == "clip" else "refused"
        means = scaled[0] if alike else ", then ".join(scaled)
        lines.append((f"range of {limits.component}", f"{means}; what is outside is {policy}"))
    if spec.gripper is not None:
        grip = spec.gripper
        edge = "" if grip.threshold is None else f", open or closed at {grip.threshold:g}"
        mode = grip.mode.replace("_", " ")
        said = f"{grip.open:g} open, {grip.closed:g} closed, {mode}{edge}"
        if grip.mode == "relative":
            opens, stroke = ("above" if grip.open > grip.closed else "below"), abs(grip.open - grip.closed)
            said = f"{grip.low:g} to {grip.high:g}, a change: {opens} 0 opens, {stroke:g} is the whole way"
        lines.append(("gripper", said))
    if spec.image is not None:
        order = f"[{', '.join(spec.image.order)}]"
        use = "in each call" if spec.image.use == "calls" else f"to {_USES.get(spec.image.use, spec.image.use)}"
        lines.append(("points", f"{order}, {use}"))
    if spec.skills:
        label = "skills" if spec.syntax == "skills" else "becomes skills"
        lines.append((label, ", ".join(spec.skills)))
    return lines


def _bounds(spec: ActionSpec) -> str:
    """The first numbers of the statistics: those of another data set are read as well, and mean something else."""
    scale = spec.normalisation
    if scale.first is None or scale.second is None:
        return "no statistics"
    return f"statistics given: {scale.first[0]:.4g} and {scale.second[0]:.4g} for {spec.columns[0]}"
