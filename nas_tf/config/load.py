"""Reads a configuration: YAML, then overrides; every mistake is one line that says where it is."""

import difflib
import re
import types
import typing
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import yaml

from nas_tf.config.schema import Experiment
from nas_tf.errors import ConfigError

ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
_PLACE = re.compile(r" - at `\$(?P<path>.*?)`$")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*?)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>.*?)`")


class _Loader(yaml.SafeLoader):
    """YAML without object construction, with numbers such as 3e-3, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        """Refuses a key that stands there twice."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value} stands there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def names() -> list[str]:
    """The shipped configurations."""
    files = resources.files("nas_tf.configs").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load(source: str | Path, overrides: Sequence[str] = ()) -> Experiment:
    """Reads a file, or a shipped configuration by its name, and applies ``key=value`` overrides.

    Keys are dotted (``stage_one.epochs=2``, ``full.stages.0.batch=4``), values are YAML.
    """
    text, name = _text_of(source)
    try:
        node = yaml.compose(text, _Loader)
        content = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(_yaml_error(error, name)) from error
    if not isinstance(content, dict):
        raise ConfigError(f"{name} holds no keys, expected a mapping such as `space: auxcell`")
    places = _places(node, name)
    for override in overrides:
        _override(content, places, override)
    return _checked(_converted(content, places, name))


def dump(experiment: Experiment) -> str:
    """The whole configuration as YAML that loads back to it."""
    return yaml.safe_dump(msgspec.to_builtins(experiment), sort_keys=False)


def _text_of(source: str | Path) -> tuple[str, str]:
    path = Path(source)
    if isinstance(source, Path) or path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        try:
            return path.read_text(encoding="utf-8"), path.name
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise ConfigError(f"configuration {path}: {reason}") from error
    if source not in names():
        accepted = ", ".join(names())
        raise ConfigError(
            f"configuration {source!r} is unknown{_meant(source, names())}, "
            f"expected a YAML file or one of {accepted}"
        )
    file = resources.files("nas_tf.configs") / f"{source}.yaml"
    return file.read_text(encoding="utf-8"), f"{source}.yaml"


def _yaml_error(error: Exception, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" line {mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error).split("\n")[0]
    return f"{name}{where} is not YAML that is read here: {problem}"


def _places(node: Any, name: str, path: str = "") -> dict[str, str]:
    """Where every key stands, by its path as msgspec writes it."""
    places = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{path}.{key.value}"
            places[below] = f"in {name} line {key.start_mark.line + 1}"
            places |= _places(value, name, below)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            below = f"{path}[{number}]"
            places[below] = f"in {name} line {value.start_mark.line + 1}"
            places |= _places(value, name, below)
    return places


def _override(content: dict, places: dict[str, str], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key):
        raise ConfigError(f"{override!r} is no override, expected such as stage_one.epochs=2")
    try:
        parsed = yaml.load(value, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(_yaml_error(error, f"the value of {key}")) from error
    *above, last = key.split(".")
    inner: Any = content
    for part in above:
        inner = _below(inner, part, override)
    _set(inner, last, parsed, override)
    places[re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", f".{key}")] = f"by the override {override}"


def _below(inner: Any, part: str, override: str) -> Any:
    if isinstance(inner, list):
        return _entry(inner, part, override)
    if inner.get(part) is None:
        inner[part] = {}
    if not isinstance(inner[part], (dict, list)):
        raise ConfigError(f"{override!r}: {part} is a value, expected a section")
    return inner[part]


def _entry(inner: list, part: str, override: str) -> Any:
    if not part.isdigit() or int(part) >= len(inner):
        raise ConfigError(f"{override!r}: {part} is no entry, expected 0–{len(inner) - 1}")
    return inner[int(part)]


def _set(inner: Any, key: str, value: Any, override: str) -> None:
    if isinstance(inner, list):
        _entry(inner, key, override)
        inner[int(key)] = value
    elif isinstance(inner, dict):
        inner[key] = value
    else:
        raise ConfigError(f"{override!r}: there is no section to set {key} in")


def _converted(content: dict, places: dict[str, str], name: str) -> Experiment:
    try:
        return msgspec.convert(content, Experiment)
    except msgspec.ValidationError as error:
        raise ConfigError(_explained(str(error), content, places, name)) from error


def _explained(message: str, content: dict, places: dict[str, str], name: str) -> str:
    """One of msgspec's messages in our words: what, where, what is accepted."""
    match = _PLACE.search(message)
    path = match["path"] if match else ""
    problem = message[: match.start()] if match else message
    if unknown := _UNKNOWN.search(problem):
        full = f"{path}.{unknown['key']}"
        accepted = _fields_at(path)
        meant = _meant(unknown["key"], accepted) or f", expected one of {', '.join(accepted)}"
        return f"key {full.lstrip('.')} is unknown {places.get(full, f'in {name}')}{meant}"
    if missing := _MISSING.search(problem):
        full = f"{path}.{missing['key']}".lstrip(".")
        return f"key {full} is missing in {name}"
    where = places.get(path, f"in {name}")
    expected = re.sub(r"^Expected ", "expected ", problem)
    expected = re.sub(r"^Invalid enum value (.*)$", _accepted(path), expected)
    expected = re.sub(r", got `.*`$", "", expected)
    return f"{path.lstrip('.')} is {_value_at(content, path)!r} {where}, {expected}"


def _accepted(path: str) -> str:
    """The values of a key that takes one of several."""
    hint = _type_at(path)
    values = [value for value in typing.get_args(hint) if isinstance(value, str)]
    for inner in typing.get_args(hint):
        values += [value for value in typing.get_args(inner) if isinstance(value, str)]
    return f"expected one of {', '.join(values)}"


def _meant(key: str, accepted: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, accepted, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _parts(path: str) -> list[str]:
    return re.findall(r"[^.\[\]]+", path)


def _type_at(path: str) -> Any:
    """The type of the key at a path of the schema."""
    hint: Any = Experiment
    for part in _parts(path):
        structs = [one for one in _alternatives(hint) if hasattr(one, "__struct_fields__")]
        if part.isdigit() or part == "...":
            hint = typing.get_args(_unannotated(hint))[0]
        elif structs:
            hint = typing.get_type_hints(structs[0], include_extras=True).get(part)
    return hint


def _unannotated(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint


def _alternatives(hint: Any) -> list[Any]:
    hint = _unannotated(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return list(typing.get_args(hint))
    return [hint]


def _fields_at(path: str) -> list[str]:
    for one in _alternatives(_type_at(path)):
        if hasattr(one, "__struct_fields__"):
            return list(one.__struct_fields__)
    return []


def _value_at(content: Any, path: str) -> Any:
    for part in _parts(path):
        content = content[int(part)] if isinstance(content, list) else content.get(part)
    return content


def _checked(experiment: Experiment) -> Experiment:
    """What no single key can say."""
    network = experiment.network
    if experiment.space != "auxcell" and network.auxiliary not in (None, "none"):
        raise ConfigError(
            f"network.auxiliary is {network.auxiliary!r} and {experiment.space} has no "
            "auxiliaries, expected none"
        )
    if network.alpha not in ALPHAS:
        raise ConfigError(f"network.alpha is {network.alpha}, expected one of {ALPHAS}")
    stages = [("stage_one", experiment.stage_one), ("stage_two", experiment.stage_two)]
    stages += [(f"full.stages[{n}]", one) for n, one in enumerate(experiment.full.stages)]
    for name, stage in stages:
        if stage is not None and stage.schedule.kind == "step" and not stage.schedule.at:
            raise ConfigError(f"{name}.schedule.at is empty, a step schedule needs such as [0.5]")
    return experiment
