"""Values that are each right and impossible together; keys that stand in the wrong place."""

from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect, structs

from nas_tf import config, networks, spaces
from nas_tf.config import suggestions
from nas_tf.config.conflicts import conflicts
from nas_tf.config.named_sections import BASES, sections
from nas_tf.config.schema import Config, Data
from nas_tf.errors import ConfigError
from nas_tf.spaces import SPACES
from tests.sampling import times

SMALL = "space: auxcell\ndata: {name: camvid}\n"
FILES = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
GENOTYPES = {"auxcell": "arch1", "template": "wacv-arch1", "dpc": "dpc-top1"}
GENOTYPES |= {"fcos": "nas-fcos", "baseline": "unet-mnv2"}
ENCODED = [name for name, space in SPACES.items() if space.taps]


def refused(source: str | Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.load(source, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def read(source: str | Path, overrides: list[str]) -> tuple[Config | None, str]:
    """The configuration, or the line of the error; any other exception is a failure."""
    try:
        return config.load(source, overrides), ""
    except ConfigError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["network.head_width=64"],
            "network.head_width=64: expected null, as space auxcell has no towers",
        ),
        (
            ["space=dpc", "network.sep_repeats=2"],
            "network.sep_repeats=2: expected null, as space dpc repeats no convolution",
        ),
        (
            ["network.output_stride=8"],
            "network.output_stride=8: "
            "expected null, as space auxcell reads features of all strides",
        ),
        (
            ["network.decoder=deeplabv3plus"],
            "network.decoder=deeplabv3plus: expected null, as space auxcell has its own decoder",
        ),
        (
            ["space=template", "network.auxiliary=classifier"],
            "network.auxiliary=classifier: expected none, as space template has no auxiliaries",
        ),
        (
            ["limits.latency_ms=5"],
            "limits.latency_ms=5: expected search.latency=TABLE.json with it, which nas-tf "
            "profile-ops makes, or =tflite",
        ),
        (
            ["search.oracle=hyperband", "search.warm_start=runs/a"],
            "search.warm_start=runs/a: expected null, as oracle hyperband takes no warm start",
        ),
        (
            ["search.oracle=bayesian", "search.second_seeds=5"],
            "search.second_seeds=5: expected 0, as oracle bayesian repeats no trial",
        ),
        (
            ["search.oracle=hyperband", "search.hours=2"],
            "search.hours=2: expected null, as oracle hyperband does not end by the clock",
        ),
        (
            ["search.trials=20", "search.second_seeds=11"],
            "search.second_seeds=11: expected 10 at most, half of search.trials",
        ),
        (
            ["stage_one.schedule.at=[0.5]"],
            "stage_one.schedule.at=[0.5]: "
            "expected [], as stage_one.schedule.kind is constant, or that to be step",
        ),
        (
            ["full_training.stages.0.schedule={kind: step, at: [0.5], span: 2}"],
            "full_training.stages.0.schedule={kind: step, at: [0.5], spa…: "
            "full_training.stages.0.schedule.span is 2, "
            "expected 1, as full_training.stages.0.schedule.kind is step, or that to be poly",
        ),
        (
            ["full_training.frozen_auxiliary_weight=0.1"],
            "full_training.frozen_auxiliary_weight=0.1: "
            "expected null, as full_training.freeze_batch_norm is false, or that to be true",
        ),
        (
            ["stage_two.decoder.momentum=0.5"],
            "stage_two.decoder.momentum=0.5: "
            "expected 0.9, as stage_two.decoder.kind is adam, or that to be sgd",
        ),
        (
            ["stage_two.encoder.beta_2=0.99"],
            "stage_two.encoder.beta_2=0.99: "
            "expected 0.999, as stage_two.encoder.kind is sgd, or that to be adam",
        ),
        (
            ["stage_one.crop=[64, 31]"],
            "stage_one.crop=[64, 31]: "
            "expected 32 or more either way, as the encoder of space auxcell needs",
        ),
        (
            ["data.view.interpolation=bicubic", "data.view.rotate=5"],
            "data.view.interpolation=bicubic: expected bilinear, as data.view.rotate is not 0",
        ),
        (
            ["data.view.input=[64, 96]", "evaluation.scales=[1, 0.25]"],
            "evaluation.scales=[1, 0.25]: expected none below 0.5, as data.view.input is "
            "[64, 96] and the encoder of space auxcell needs 32",
        ),
        (["network.width=4097"], "network.width=4097: expected an integer of 1 to 4096, or null"),
        (["threads=100000"], "threads=100000: expected an integer of 1 to 1024, or null"),
        (
            ["stage_one.decoder.weight_decay=1"],
            "stage_one.decoder.weight_decay=1: expected a number of 0 or more and below 1",
        ),
        (
            ["limits.failure_score=1"],
            "limits.failure_score=1: expected a number of 0 or more and below 1",
        ),
        (
            ["network.encoder=resnet5"],
            "network.encoder=resnet5: expected one of mobilenet_v2, resnet50, resnet101, "
            "xception, did you mean resnet50?",
        ),
        (
            ["network.encoder=xception", "network.alpha=0.5"],
            "network.alpha=0.5: expected 1, as encoder xception has one width",
        ),
        (
            ["network.encoder=resnet50", "network.weights=drawn"],
            "network.weights=drawn: expected network.encoder=mobilenet_v2 and network.alpha=0.35 "
            "with it, for which it was trained, now it is resnet50",
        ),
        (
            ["stage_one.decoder.learning_rate=0"],
            "stage_one.decoder.learning_rate=0: expected a number above 0",
        ),
    ],
)
def test_an_impossible_combination_is_one_line(write, overrides: list[str], line: str) -> None:
    assert refused(write(SMALL), *overrides) == f"override {line}"


def test_a_combination_is_reported_where_its_key_stands(write) -> None:
    path = write(SMALL + "limits:\n  latency_ms: 5\n")
    assert refused(path).startswith(
        "limits.latency_ms is 5 in small.yaml line 4, expected search.l"
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["space=template", "network.sep_repeats=2"],
        ["stage_two=null", "gate.policy=authors", "gate={}"],
        ["stage_one.schedule={kind: poly, span: 2}"],
        ["stage_one.crop=[32, 32]"],
        ["space=template", "stage_one.crop=[8, 8]"],
        ["space=dpc", "stage_one.crop=[16, 16]"],
        ["stage_two.decoder={kind: sgd, momentum: 0.5}"],
        *([f"network.encoder={name}"] for name in ("mobilenet_v2", "resnet101", "xception")),
        ["data.view.input=[64, 96]", "evaluation.scales=[0.5, 2]", "evaluation.flip=true"],
    ],
)
def test_what_is_possible_passes(write, overrides: list[str]) -> None:
    config.load(write(SMALL), overrides)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("trials: 5\n", "key trials is unknown in small.yaml line 3, did you mean search.trials?"),
        (
            "stage_one: {learning_rate: 1e-3}\n",
            "key stage_one.learning_rate is unknown in small.yaml line 3, "
            "did you mean stage_one.decoder.learning_rate?",
        ),
        (
            "full_training: {stages: [{epochs: 1, momentum: 0.5}]}\n",
            "key full_training.stages.0.momentum is unknown in small.yaml line 3, "
            "did you mean full_training.stages.0.encoder.momentum?",
        ),
        (
            "gate: {polyak: 0.9}\n",
            "key gate.polyak is unknown in small.yaml line 3, did you mean stage_one.polyak?",
        ),
        (
            "stage_too: {epochs: 1}\n",
            "key stage_too is unknown in small.yaml line 3, did you mean stage_two?",
        ),
    ],
)
def test_a_key_in_the_wrong_place_gets_the_right_one_suggested(
    write, text: str, line: str
) -> None:
    assert refused(write(SMALL + text)) == line


@pytest.mark.parametrize("space", ENCODED)
def test_the_smallest_crop_is_that_of_the_networks(space: str) -> None:
    genotype = spaces.resolve(GENOTYPES[space], space)
    options = {"settings": networks.settings.search(space, width=32)}
    least = spaces.get(space).smallest_side
    networks.blueprint_of(genotype, 3, input_size=(least, least), **options)
    with pytest.raises(ConfigError, match=f"expected at least {least}x{least}"):
        networks.blueprint_of(genotype, 3, input_size=(least, least - 1), **options)


def test_bounds_of_the_network_are_those_of_its_settings() -> None:
    for key, most in (("width", 4096), ("sep_repeats", 8)):
        networks.settings.search("auxcell", **{key: most})
        with pytest.raises(ConfigError):
            networks.settings.search("auxcell", **{key: most + 1})
        with pytest.raises(ConfigError):
            config.load(FILES[0], [f"network.{key}={most + 1}"])


def test_defaults_do_not_clash() -> None:
    for space in spaces.SPACES:
        assert not list(conflicts(Config(space=space, data=Data(name="shapes"))))


def _leaves(section: type, path: str = "") -> dict[str, Any]:
    """Every key that holds a value, with its type; of the first stage of full training."""
    found: dict[str, Any] = {}
    for field in structs.fields(section):
        below = f"{path}.{field.name}" if path else field.name
        if field.type in BASES:
            kinds = sections(BASES[field.type])
            for inner in kinds.values():
                found |= _leaves(inner, below)
            found |= {f"{below}.name": Literal[*kinds], below: Literal[*kinds]}
        elif inner := suggestions.section_of(field.type):
            found |= _leaves(inner, below)
            if inner is not field.type:
                found[below] = type(None)
        elif inner := suggestions.entries_of(field.type):
            found |= _leaves(inner, f"{below}.0")
        else:
            found[below] = field.type
    return found


def _values(hint: Any) -> st.SearchStrategy[str]:
    """Values of a key's own type, mostly of its range."""
    info = inspect.type_info(hint)
    kinds = info.types if isinstance(info, inspect.UnionType) else (info,)
    return st.one_of(*(_of_kind(kind) for kind in kinds))


def _of_kind(info: inspect.Type) -> st.SearchStrategy[str]:
    match info:
        case inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case inspect.BoolType():
            return st.sampled_from(["true", "false"])
        case inspect.NoneType():
            return st.just("null")
        case inspect.IntType():
            return st.sampled_from(["0", "1", "2", "7", "33", "5000", "-1"])
        case inspect.FloatType():
            return st.sampled_from(["0", "0.25", "0.5", "0.9", "1", "1.5", "3e-3", "-1"])
        case inspect.TupleType():
            return st.sampled_from(["[64, 64]", "[8, 16]", "[31, 600]", "[1, 1]", "[0, 9]"])
        case inspect.VarTupleType():
            return st.sampled_from(["[]", "[0.5]", "[0.1, 0.9]", "[1, 2]"])
    return st.sampled_from(["train", "val", "shapes", "camvid", "label", "depth", "x"])


_OVERRIDE = st.sampled_from(sorted(_leaves(Config).items())).flatmap(
    lambda leaf: _values(leaf[1]).map(lambda value: f"{leaf[0]}={value}")
)


@given(st.sampled_from(FILES), st.lists(_OVERRIDE, max_size=6))
@settings(
    max_examples=times(400, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_overrides_give_a_configuration_or_one_line(
    write, file: Path, overrides: list[str]
) -> None:
    loaded, line = read(file, overrides)
    assert len(line.splitlines()) == (loaded is None)
    if loaded is not None:
        assert config.load(write(config.dump(loaded))) == loaded
