"""Reads the page of the papers, and checks its commands without running them.

Arguments are read by the command line itself, configurations, genotypes and networks by what the
commands call. Runs that earlier commands of the page write are invented.
"""

import random
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nas_tf import spaces
from nas_tf.config import Config, load
from nas_tf.config.load import dump
from nas_tf.config.paths import run_name
from nas_tf.config.rerank import for_rerank
from nas_tf.data.folder import PREFIX
from nas_tf.data.joined_splits import parts
from nas_tf.data.registry import dataset_info
from nas_tf.genotype import Genotype
from nas_tf.runs import filenames
from nas_tf.training import from_config
from tests.cli.command import parsed
from tests.runs.made import CONFIGS, made

PAGE = Path(__file__).parents[2] / "docs" / "papers.md"
SIZES = re.compile(r"\d+x\d+(,\d+x\d+)*")
WITHIN = re.compile(r"\$\((.*)\)", re.DOTALL)
EPOCHS_FACTOR = 5
"""The factor of a reranking without ``--epochs-times``."""


class Command(NamedTuple):
    """A command of the page, and the name of the row that it belongs to."""

    row: str
    words: tuple[str, ...]


class Section(NamedTuple):
    """The rows and the commands of a paper."""

    title: str
    rows: tuple[dict[str, str], ...]
    commands: tuple[Command, ...]


def sections(text: str) -> list[Section]:
    """Returns the sections that have both a table and commands."""
    return [
        Section(part.partition("\n")[0], tuple(_rows(part)), tuple(_commands(part)))
        for part in text.split("\n## ")[1:]
        if "```console" in part
    ]


def _rows(part: str) -> Iterator[dict[str, str]]:
    lines = [line for line in part.splitlines() if line.startswith("|")]
    names, _, *cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    for row in cells:
        yield dict(zip(names, row, strict=True))


def _commands(part: str) -> Iterator[Command]:
    """Yields commands, without the file that has the output.

    A substituted command, whose output is an argument, precedes its own.
    """
    (block,) = re.findall(r"^```console\n(.*?)^```", part, re.MULTILINE | re.DOTALL)
    row = ""
    for entry in re.findall(r"^(?:# .*|\$ (?:.*\\\n|.*\n(?=  ))*.*)$", block, re.MULTILINE):
        if entry.startswith("# "):
            row = entry.removeprefix("# ").partition(":")[0]
            continue
        words = [word for word in shlex.split(entry.removeprefix("$ ")) if word != "\n"]
        for word in words:
            if inner := WITHIN.fullmatch(word):
                yield Command(row, tuple(shlex.split(inner[1])))
        yield Command(row, tuple(words[: words.index(">")] if ">" in words else words))


@dataclass
class Checker:
    """Checks commands in order; ``runs`` are the folders that earlier ones write."""

    runs: dict[Path, Config] = field(default_factory=dict)

    def check(self, command: Command) -> None:
        """Raises if a command is unknown, or an argument, a key, a genotype or a run is."""
        program, *arguments = command.words
        assert program == "nas-tf"
        context = parsed(*arguments)
        given = context.params
        name = arguments[0]
        assert context.command_path.split()[1] == name, f"{name} has another name now"
        config = self._config(name, given)
        self._check_runs(name, given)
        if config is not None:
            for tried in given.get("tried", ()):
                load(given["config_name"], [*given["overrides"], *shlex.split(tried)])
            _build(config, name, self._genotype(given, config))
        elif isinstance(text := given.get("genotype"), str) and Path(text) not in self.runs:
            spaces.resolve(text)
        if given.get("sizes") is not None:
            assert SIZES.fullmatch(given["sizes"])
            for text in given["models"]:
                spaces.resolve(text)
        self._add_run(name, given, config)

    def _config(self, name: str, given: Mapping[str, Any]) -> Config | None:
        if name == "rerank":
            saved = given["run"] / filenames.CONFIG
            return for_rerank(saved, given["epochs_times"] or EPOCHS_FACTOR, given["overrides"])
        if given.get("config_name") is None:
            return None
        overrides = list(given["overrides"])
        if given.get("oracle") is not None:
            overrides.insert(0, f"search.oracle={given['oracle']}")
        return load(given["config_name"], overrides)

    def _genotype(self, given: Mapping[str, Any], config: Config) -> Genotype | None:
        text = given.get("genotype") or given.get("source")
        if isinstance(text, str) and not WITHIN.fullmatch(text):
            return spaces.resolve(text, config.space)
        return None

    def _check_runs(self, name: str, given: Mapping[str, Any]) -> None:
        """Raises if no earlier command writes a run, or a split that is scored is not there."""
        read = [*given.get("runs", ())]
        if (run := given.get("run")) is not None:
            read.append(getattr(run, "folder", run))
        if name == "evaluate":
            read.append(Path(given["source"]))
        assert {*map(Path, read)} <= self.runs.keys(), read
        if name == "evaluate":
            splits = dataset_info(self.runs[read[0]].data.name).splits
            assert {*parts(given["split"])} <= splits.keys()

    def _add_run(self, name: str, given: Mapping[str, Any], config: Config | None) -> None:
        if name not in ("search", "train", "finetune", "train-teacher"):
            return
        folder = given["out"]
        if folder is None and name == "search":
            oracle = config.search.oracle_name
            folder = Path("runs") / f"{run_name(given['config_name'])}-{oracle}"
        elif folder is None:
            return
        assert folder not in self.runs, f"{folder} is written twice"
        self.runs[folder] = config
        if name == "search":
            space = spaces.get(config.space).name
            made(folder, space=space if space in CONFIGS else "auxcell", trials=3, failing=0)
            (folder / filenames.CONFIG).write_text(dump(config), encoding="utf-8")


def _build(config: Config, name: str, genotype: Genotype | None) -> None:
    """Builds the network of a genotype, or of a sample, at the size that it is trained at.

    A reader's own folder is not here, so that no size is known.
    """
    if config.data.name.startswith(PREFIX):
        return
    is_published = name in ("train", "finetune", "export")
    phase, stage = ("published", "full") if is_published else ("search", "stage_one")
    network = genotype or spaces.get(config.space).sample(random.Random(1))
    size = from_config.view_of(config, stage).crop
    from_config.blueprint_builder(config, network, phase)(size)
