"""Measures how well cheaper trainings of candidates rank genotypes as a longer training does.

The same genotypes are trained under each setting, one genotype after another, so that results are
paired at any time; a later call resumes an interrupted one. Scores without training are compared
too.
"""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout
from msgspec import structs

from nas_tf import files, spaces
from nas_tf.config.load import dump
from nas_tf.config.schema import Config
from nas_tf.errors import ConfigError, NasTfError
from nas_tf.genotype import Genotype
from nas_tf.networks import settings as networks_settings
from nas_tf.runs import study as records
from nas_tf.runs.load import dotted
from nas_tf.runs.study import LONGER, Result, Study, StudyInfo
from nas_tf.search import one_shot, preflight
from nas_tf.search.one_shot import OneShot
from nas_tf.search.outcome import crashed
from nas_tf.search.provenance import run_info
from nas_tf.spaces import DPCSpace, SearchSpace
from nas_tf.training import from_config, gate, own_data, own_files
from nas_tf.training.two_stage import Observer, TwoStage
from nas_tf.training.untrained import SCORES, Untrained

CONFIGURED = "as configured"
ONE_STAGE = ("stage_two=null", "gate.policy=open")
"""The overrides of a setting that has none of stage two: it trains stage one alone."""
_FREE = ("threads", "search.", "full_training.", "evaluation.", "stage_two", "gate.")
_LOCK = ".study.lock"
_CROP_STEP, _LEAST_CROP = 32, 64
_MISSES = 1000
"""The samples in a row without a new network after which a space counts as exhausted."""


@dataclass(frozen=True)
class Plan:
    """The subject of a study: genotypes, and the configuration and overrides of each setting."""

    config: Config
    settings: Mapping[str, tuple[str, ...]]
    configs: Mapping[str, Config]
    genotypes: tuple[Genotype, ...]
    untrained: tuple[str, ...] = ()


def plan(
    load: Callable[[Sequence[str]], Config],
    tried: Sequence[Sequence[str]],
    genotypes: Sequence[Genotype] | int,
    *,
    times: int = 5,
    against: Sequence[str] = (),
    seed: int = 1,
    untrained: bool = True,
) -> Plan:
    """Returns a plan; without ``tried``, the usual shorter and smaller trainings are compared.

    Args:
        load: Returns the configuration with overrides.
        tried: The overrides of each setting.
        genotypes: The genotypes, or the number that is sampled with ``seed``.
        times: The factor by which the longer training has more epochs.
        against: The overrides of the longer training, instead of more epochs.
        untrained: Whether scores without training are compared too.

    A setting with ``search.supernet`` takes scores by that super-net instead of training. One with
    overrides of ``stage_two`` trains end to end after stage one.
    """
    given = load(())
    base = own_data.completed(given)
    if base.search.supernet is not None:
        raise ConfigError(
            f"search.supernet is {base.search.supernet} in every setting, expected it in one that "
            "is tried, since the longest training trains"
        )
    chosen = [tuple(overrides) for overrides in tried] or usual_settings(base)
    settings = {CONFIGURED: ONE_STAGE}
    settings |= {" ".join(overrides): _complete(overrides) for overrides in chosen}
    longer = tuple(against) or (f"stage_one.epochs={times * base.stage_one.epochs}",)
    settings[LONGER] = _complete(longer)
    configs = {
        name: _with_view(load(overrides), given, base) for name, overrides in settings.items()
    }
    for name, config in configs.items():
        if (config.space, config.data.name) != (base.space, base.data.name):
            raise ConfigError(
                f"setting {name!r} is of another space or data set, expected {base.space} and "
                f"{base.data.name}, as the study"
            )
    if isinstance(genotypes, int):
        genotypes = sampled(base, genotypes, seed)
    names = tuple(SCORES) if untrained else ()
    return Plan(base, settings, configs, tuple(genotypes), names)


def _with_view(config: Config, given: Config, base: Config) -> Config:
    """Returns a configuration with the study's view of a user's pictures, if it has no own."""
    if config.data.view == given.data.view:
        config = structs.replace(config, data=structs.replace(config.data, view=base.data.view))
    return own_data.completed(config)


def _complete(overrides: Sequence[str]) -> tuple[str, ...]:
    """Returns the overrides of a setting, with those that leave stage two out unless it is set."""
    has_stage_two = any(text.startswith("stage_two") for text in overrides)
    return (*(ONE_STAGE[1:] if has_stage_two else ONE_STAGE), *overrides)


def parsed(space: SearchSpace, text: str) -> Genotype:
    """Returns the genotype of a line; cells of a study may differ in their number of branches."""
    if isinstance(space, DPCSpace) and (genotype := spaces.resolve(text)).space == space.name:
        return genotype
    return spaces.resolve(text, space)


def usual_settings(config: Config) -> list[tuple[str, ...]]:
    """Returns overrides that make stage one cheaper: epochs, images, views, crops, or width.

    The last setting has the fewest epochs and the larger of the crops at once.
    """
    stage = config.stage_one
    found: list[str] = []
    fewer = sorted({1, stage.epochs // 2} - {0, stage.epochs})
    found += [f"stage_one.epochs={count}" for count in fewer]
    found.append(f"stage_one.image_share={stage.image_share / 2:g}")
    if stage.views > 1:
        found.append("stage_one.views=1")
    crop = from_config.reward_view(config).crop
    if config.data.candidate_views == "search":
        smaller = [
            max(_LEAST_CROP, round(share * min(crop) / _CROP_STEP) * _CROP_STEP)
            for share in (2 / 3, 1 / 2)
        ]
        sides = [side for side in dict.fromkeys(smaller) if side < min(crop)]
        found += [f"stage_one.crop=[{side},{side}]" for side in sides]
    width = networks_settings.search(spaces.get(config.space).name).width
    if config.network.width is None and width % 16 == 0:
        found.append(f"network.width={width // 2}")
    single = [(text,) for text in found]
    epochs = [text for text in found if text.startswith("stage_one.epochs")]
    crops = [text for text in found if text.startswith("stage_one.crop")]
    return [*single, (epochs[0], crops[0])] if epochs and crops else single


def sampled(config: Config, count: int, seed: int) -> list[Genotype]:
    """Returns different networks of the space, sampled uniformly."""
    space, rng = spaces.get(config.space), random.Random(seed)
    found: dict[object, Genotype] = {}
    misses = 0
    while len(found) < count:
        genotype, before = space.sample(rng), len(found)
        if space.refusal(genotype) is None:
            found.setdefault(space.canonical(genotype), genotype)
        misses = misses + 1 if len(found) == before else 0
        if misses == _MISSES:
            raise ConfigError(
                f"{len(found)} different networks of space {space} were found, expected {count}"
            )
    return list(found.values())


def start(folder: Path, planned: Plan) -> Study:
    """Writes what the study measures, or resumes one that measures the same.

    Absent data, weights or a teacher raise before the folder is written.
    """
    for config in planned.configs.values():
        preflight.check(config)
    own_files.claim(folder, planned.config)
    about = run_info(planned.config, oracle="study", max_trials=len(planned.genotypes))
    info = StudyInfo(
        nas_tf=about.nas_tf,
        space=str(planned.config.space),
        data=planned.config.data.name,
        config=dump(planned.config),
        settings=dict(planned.settings),
        untrained=planned.untrained,
        genotypes=tuple(map(str, planned.genotypes)),
        created=about.created,
        command=about.command,
    )
    study = Study(folder)
    if (folder / records.ABOUT).exists():
        _check(study, info)
        return study
    text = msgspec.json.format(msgspec.json.encode(info), indent=1)
    files.write(folder / records.ABOUT, text.decode() + "\n")
    return study


def _check(study: Study, info: StudyInfo) -> None:
    """Raises if a resumed study measures something else than it was started for."""
    was, now = (dotted(each.config) for each in (study.info, info))
    for key in was | now:
        if not key.startswith(_FREE) and was.get(key) != now.get(key):
            raise ConfigError(
                f"{study.folder} was started with {key}={was.get(key)}, now it is {now.get(key)}: "
                "give what it was started with, or another folder"
            )
    for name, words in (
        ("settings", "settings"),
        ("untrained", "scores without training"),
        ("genotypes", "genotypes"),
    ):
        if getattr(study.info, name) != getattr(info, name):
            raise ConfigError(
                f"{study.folder} was started with other {words}, listed in {records.ABOUT}: give "
                "those, or another folder"
            )


def train(
    study: Study,
    planned: Plan,
    *,
    observer: Observer | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    on_result: Callable[[Result], None] | None = None,
) -> None:
    """Trains what remains; a candidate that fails is recorded, and the others continue.

    One process at a time may train: another raises ``ConfigError``.
    """
    try:
        with FileLock(study.folder / _LOCK, timeout=0):
            remaining = Study(study.folder).remaining
            evaluators: dict[str, TwoStage | OneShot] = {}
            scorers: dict[str, Untrained] = {}
            genotypes = {str(genotype): genotype for genotype in planned.genotypes}
            for text, name in remaining:
                setting = CONFIGURED if name in planned.untrained else name
                if setting not in evaluators:
                    evaluators[setting] = one_shot.evaluator(
                        planned.configs[setting], progress=progress
                    )
                genotype = genotypes[text]
                evaluator = _of_size(evaluators[setting], genotype)
                if name in planned.untrained and isinstance(evaluator, TwoStage):
                    space = str(evaluator.config.space)
                    if space not in scorers:
                        scorers[space] = Untrained(evaluator.config, evaluator.shared)
                    result = _untrained(scorers[space], name, genotype)
                else:
                    result = _result(evaluator, name, genotype, observer)
                _append(study.folder / records.RESULTS, msgspec.json.encode(result))
                if on_result is not None:
                    on_result(result)
    except Timeout:
        raise ConfigError(
            f"{study.folder} is in use by another process, expected one at a time"
        ) from None


def _of_size(evaluator: TwoStage | OneShot, genotype: Genotype) -> TwoStage | OneShot:
    """Returns an evaluator of cells with a genotype's number of branches, with the same data."""
    config = evaluator.config
    if isinstance(evaluator, OneShot) or not isinstance(spaces.get(config.space), DPCSpace):
        return evaluator
    return TwoStage(structs.replace(config, space=spaces.space_of(genotype)), evaluator.shared)


def _result(
    evaluator: TwoStage | OneShot, name: str, genotype: Genotype, observer: Observer | None
) -> Result:
    config = evaluator.config
    try:
        found = evaluator.evaluate(genotype, gate.make(config.gate, 1), observer=observer)
    except NasTfError:
        raise
    except Exception as error:
        found = crashed(genotype, error, config.limits.failure_score)
    seconds = sum(sum(stage.seconds.values()) for stage in found.stages)
    return Result(
        setting=name,
        genotype=str(genotype),
        score=found.score,
        seconds=round(seconds, 3),
        failed=found.failed,
        stopped=found.stopped,
    )


def _untrained(scorer: Untrained, name: str, genotype: Genotype) -> Result:
    """Returns a score without training; one that is not finite counts as failed."""
    begin = time.perf_counter()
    found = scorer.score(name, genotype)
    seconds, failed = round(time.perf_counter() - begin, 3), not math.isfinite(found)
    return Result(
        setting=name,
        genotype=str(genotype),
        score=0.0 if failed else found,
        seconds=seconds,
        failed=failed,
        stopped="the score is not finite" if failed else None,
    )


def _append(path: Path, line: bytes) -> None:
    """Appends a line, after cutting off one that a kill has left incomplete."""
    with files.reporting_faults(path.parent), path.open("ab+") as file:
        file.seek(0)
        complete = file.read().rpartition(b"\n")
        file.truncate(len(complete[0]) + len(complete[1]))
        file.write(line + b"\n")
