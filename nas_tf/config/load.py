"""Reads a configuration: YAML, then overrides; every error is one line with the place.

PyYAML composes nodes, which are walked in parallel with the schema, so that every value is
checked where its line is known and no YAML tag constructs anything. A section that is written in
part keeps the defaults of its place: ``encoder: {learning_rate: 5e-4}`` of stage two is still SGD.
Keys that had another name in an earlier version are read, and a line names the new one.
"""

import json
import logging
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import NODEFAULT, structs

from nas_tf.accepted import one_of
from nas_tf.config import fixed_parts
from nas_tf.config.conflicts import conflicts
from nas_tf.config.named_sections import BASES, sections, with_plain_oracle
from nas_tf.config.paths import FOLDER, absolute
from nas_tf.config.plain_yaml import EMPTY, SCALARS, TAG, Dumper, Loader, is_mapping, plain
from nas_tf.config.schema import Config, Section
from nas_tf.config.section import Named
from nas_tf.config.suggestions import accepted, elsewhere, entries_of, section_of
from nas_tf.errors import ConfigError, did_you_mean
from nas_tf.runs.load import RENAMED_KEYS

_OWN_DATA = "space: auxcell\ndata: {{name: {name}}}\n"
_LOGGER = logging.getLogger(__name__)


Dumper.add_representer(
    float, lambda dumper, value: dumper.represent_scalar(f"{TAG}float", repr(value))
)
Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        f"{TAG}str", text, style=None if text.isprintable() and text != "None" else '"'
    ),
)


def names() -> list[str]:
    """Returns the names of the shipped configurations."""
    files = resources.files("nas_tf.configs").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load(source: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Reads a file, or a shipped configuration by its name, and applies ``key=value`` overrides.

    Keys are dotted (``stage_one.epochs=2``, ``full_training.stages.0.batch=4``), values are YAML.
    A user's own data, ``folder:DIR``, is the configuration that searches auxiliary cells on them.
    A key by its former name is read, and a warning names the present one::

        config = load("camvid_auxcell", ["search.trials=20", "seed=3"])
    """
    reading = _reading(source, overrides)
    for warning in reading.renamed:
        _LOGGER.warning(warning)
    return absolute(reading.finished())


def load_saved(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Reads the configuration that a run saved; former names of keys pass without a warning."""
    return absolute(_reading(path, overrides).finished())


def source_text(source: str | Path) -> str:
    """Returns the YAML text that ``load`` reads, with its comments."""
    return _source(source).text


def dump(config: Config) -> str:
    """Returns the complete configuration as YAML that loads back to it."""
    return yaml.dump(
        msgspec.to_builtins(config),
        Dumper=Dumper,
        sort_keys=False,
        default_flow_style=None,
        allow_unicode=True,
        width=99,
    )


@dataclass(frozen=True)
class _Source:
    """A YAML text that names its places: those of a file by line, an override by itself."""

    name: str
    text: str
    key: str = ""

    def compose(self) -> yaml.Node | None:
        """Returns the root node; None if the text is empty."""
        try:
            return yaml.compose(self.text, Loader)
        except yaml.reader.ReaderError as error:
            line, problem = self.text.count("\n", 0, error.position) + 1, error.reason
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, problem = mark.line + 1, error.problem or error.context
        except (ValueError, OverflowError) as error:
            line, problem = 1, str(error)
        except RecursionError:
            line, problem = 1, "nested too deeply"
        place = f"{self.name}:" if self.key else f"{self.name} line {line} is"
        raise _refused(f"{place} not YAML, {problem}")

    def error(self, subject: str, node: yaml.Node, rest: str = "") -> ConfigError:
        """Returns the error for a node of this text, as one line with its place."""
        if self.key:
            return _refused(f"{self.name}: {subject}{rest}")
        line = node.start_mark.line + 1
        return _refused(f"{subject} in {self.name} line {line}{rest}")

    def wrong(self, path: str, node: yaml.Node, expected: str) -> ConfigError:
        """Returns the error for a value that is not accepted."""
        if path == self.key:
            return _refused(f"{self.name}: expected {expected}")
        shown = self.text[node.start_mark.index : node.end_mark.index]
        return self.error(f"{path} is {_short(shown) or 'empty'}", node, f", expected {expected}")

    def unknown(self, path: str, key: str, node: yaml.Node, names: Sequence[str]) -> ConfigError:
        """Returns the error for an unknown key below a path."""
        rest = elsewhere(path, key) or did_you_mean(key, names) or f", expected {one_of(names)}"
        return self.error(f"key {_below(path, key)} is unknown", node, rest)


class _Reading:
    """Builds a configuration from a file and its overrides.

    ``renamed`` collects a warning for each key that is written by a former name.
    """

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._written: dict[str, tuple[_Source, yaml.Node]] = {}
        self._missing: dict[str, tuple[_Source, yaml.Node, Any]] = {}
        self.renamed: list[str] = []
        root = source.compose()
        if not is_mapping(root):
            held = "no keys" if root is None else "something else"
            raise _refused(f"{source.name} holds {held}, expected keys such as space: auxcell")
        self._config = self._section(root, Config, None, "")

    def override(self, text: str) -> None:
        """Sets the key of one ``key=value`` override."""
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not all(key.split(".")):
            raise _refused(
                f"override {_short(text)!r} is no key=value, expected such as stage_one.epochs=2"
            )
        self._source = _Source(f"override {_short(text)}", value, key)
        node = self._source.compose() or yaml.ScalarNode(f"{TAG}null", "")
        self._config = self._set(self._config, key.split("."), node, "")

    def finished(self) -> Config:
        """Returns the configuration; raises if a key is missing or keys conflict."""
        missing = [
            str(source.error(f"key {path} is missing", node, f", expected {accepted(hint)}"))
            for path, (source, node, hint) in self._missing.items()
        ]
        if missing:
            raise _refused("; ".join(missing))
        self._config = with_plain_oracle(fixed_parts.resolved(self._config))
        for conflict in conflicts(self._config):
            source, node = self._written[conflict.key]
            raise source.wrong(conflict.key, node, conflict.expected)
        return self._config

    def _section(
        self, node: yaml.MappingNode, struct: type[Section], base: Section | None, path: str
    ) -> Section:
        """Returns a section: what is written, over the defaults of its place (``base``).

        A required key that is absent is recorded in ``_missing``: an override may still set it.
        """
        fields = {field.name: field for field in structs.fields(struct)}
        defaults = {
            name: getattr(base, name) if base else _default(field)
            for name, field in fields.items()
        }
        values: dict[str, Any] = {}
        for key, value in node.value:
            name = self._current(key, path, key.value) if key.tag in SCALARS else "?"
            below = _below(path, name)
            if name not in fields:
                raise self._source.unknown(path, name, key, list(fields))
            if name in values:
                raise self._source.error(f"key {below} is given twice", key, ", expected once")
            values[name] = self._value(value, fields[name].type, defaults[name], below)
        for name, default in defaults.items():
            if default is NODEFAULT and name not in values:
                self._missing[_below(path, name)] = (self._source, node, fields[name].type)
        return struct(**(defaults | values))

    def _value(self, node: yaml.Node, hint: Any, default: Any, path: str) -> Any:
        self._written[path] = self._source, node
        struct, entries = section_of(hint), entries_of(hint)
        if struct and issubclass(struct, Named):
            kinds = sections(struct)
            if is_mapping(node):
                struct = self._named(kinds, node, path)
            else:
                struct, hint = None, Literal[tuple(kinds)]
        if struct and is_mapping(node):
            base = default if isinstance(default, struct) else None
            return self._section(node, struct, base, path)
        if entries and isinstance(node, yaml.SequenceNode) and node.value:
            return tuple(
                self._value(entry, entries, None, f"{path}.{number}")
                for number, entry in enumerate(node.value)
            )
        if hint is str and path.startswith("space.") and isinstance(node, yaml.SequenceNode):
            return self._source.text[node.start_mark.index : node.end_mark.index]  # brackets
        try:
            value = msgspec.convert(plain(node), hint)
        except (msgspec.ValidationError, ValueError, KeyError):
            raise self._source.wrong(path, node, accepted(hint)) from None
        parts = value if isinstance(value, tuple) else (value,)
        if not all(math.isfinite(part) for part in parts if isinstance(part, float)):
            raise self._source.wrong(path, node, accepted(hint))
        return value

    def _named(
        self, kinds: Mapping[str, type[Named]], node: yaml.MappingNode, path: str
    ) -> type[Named]:
        """Returns the section type that belongs to the name in a section."""
        name = next((value for key, value in node.value if key.value == "name"), None)
        known = one_of(list(kinds))
        if name is None:
            raise self._source.error(f"key {path}.name is missing", node, f", expected {known}")
        if not isinstance(name, yaml.ScalarNode) or name.value not in kinds:
            raise self._source.wrong(f"{path}.name", name, known)
        return kinds[name.value]

    def _set(self, above: Any, keys: list[str], node: yaml.Node, path: str) -> Any:
        """Returns a section, or a list of sections, with the value below ``keys`` replaced."""
        if isinstance(above, Named) and keys == ["name"]:
            self._forget(path)
            key = next(key for key, base in BASES.items() if isinstance(above, base))
            name = self._value(node, key, None, path)
            return above if name == above.name else name
        name, *rest = self._current(node, path, keys[0]), *keys[1:]
        below = _below(path, name)
        if isinstance(above, tuple):
            fields = {str(n): (type(entry), None, entry) for n, entry in enumerate(above)}
        else:
            fields = {
                field.name: (field.type, _default(field), getattr(above, field.name))
                for field in structs.fields(type(above))
            }
        if name not in fields:
            raise self._source.unknown(path, name, node, list(fields))
        hint, default, inner = fields[name]
        if not rest:
            self._forget(below)
            new = self._value(node, hint, default, below)
        else:
            new = self._set(self._opened(hint, default, inner, below), rest, node, below)
        if isinstance(above, tuple):
            return tuple(new if str(n) == name else entry for n, entry in enumerate(above))
        return structs.replace(above, **{name: new})

    def _opened(self, hint: Any, default: Any, inner: Any, path: str) -> Any:
        """Returns the section that an override sets a key of; a null one starts from defaults."""
        struct = section_of(hint)
        if struct and issubclass(struct, Named) and isinstance(inner, str):
            return sections(struct)[inner]()
        if struct and inner is None:
            inner = default
        if struct and not isinstance(inner, struct):
            self._forget(path)
            inner = self._section(EMPTY, struct, None, path)
        if not isinstance(inner, Section) and not (entries_of(hint) and inner):
            raise _refused(f"{self._source.name}: {path} has no keys, expected {accepted(hint)}")
        return inner

    def _forget(self, path: str) -> None:
        """Discards the places recorded for a key that is set again, and for those below it."""
        for places in (self._written, self._missing):
            for key in [key for key in places if f"{key}.".startswith(f"{path}.")]:
                del places[key]

    def _current(self, node: yaml.Node, path: str, name: str) -> str:
        """Returns the present name of a key below a path, and notes where it was renamed."""
        former = f"{path}.{name}" if path else name
        if former not in RENAMED_KEYS:
            return name
        current = RENAMED_KEYS[former]
        self.renamed.append(
            str(self._source.error(f"key {former}", node, f" is now called {current}"))
        )
        return current


def _reading(source: str | Path, overrides: Sequence[str]) -> _Reading:
    reading = _Reading(_source(source))
    for override in overrides:
        reading.override(override)
    return reading


def _source(source: str | Path) -> _Source:
    shipped = names()
    if source in shipped:
        file = resources.files("nas_tf.configs") / f"{source}.yaml"
        return _Source(file.name, file.read_text(encoding="utf-8"))
    if isinstance(source, str) and source.startswith(FOLDER):
        return _Source(_short(source, 200), _OWN_DATA.format(name=json.dumps(source)))
    path = Path(source)
    expected = f"expected a YAML file, folder:DIR or {one_of(shipped)}"
    near = did_you_mean(path.stem, shipped)
    if (path / "dataset.yaml").is_file():
        near = f", did you mean {FOLDER}{source}?"
    is_path = (
        isinstance(source, Path) or path.suffix.lower() in (".yaml", ".yml") or os.sep in source
    )
    if not is_path and not path.is_file():
        raise _refused(f"configuration {_short(source)!r} is unknown, {expected}{near}")
    try:
        return _Source(_short(str(source), 200), path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        problem = f"does not exist, {expected}{near}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text, expected YAML"
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise _refused(f"configuration {_short(str(source), 200)} {problem}")


def _refused(line: str) -> ConfigError:
    return ConfigError(" ".join(line.split()))


def _short(text: str, limit: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _below(path: str, key: str) -> str:
    key = key if re.fullmatch(r"[\w-]+", key[:61]) else repr(key)
    return f"{path}.{_short(key)}" if path else _short(key)


def _default(field: structs.FieldInfo) -> Any:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()
