"""Every figure of README and of the index of results is the one that its page or file has.

A row's numbers are compared in their order with the cells, lines and CSV columns that they come
from, so that a figure that is wrong, swapped with another or of another row is found.
"""

import itertools
import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median

import pytest

from nas_tf.config import load
from tests.docs.pages import (
    LAST,
    RESULTS,
    ROOT,
    Below,
    cell,
    column,
    deployed,
    in_8_bits,
    mean,
    numbers,
    operations_in_8_bits,
    p_of,
    ranked,
    rewards,
    rows,
    says,
    spread,
    text,
    wrong,
)
from tests.golden.test_counts import EXTRA_PARAMS

LINK = re.compile(r"\]\(([\w/]+\.md)\)")
NAMES = re.compile(
    r"`[^`]*`|\b[\w-]*arch\d\b|\bint8\b|\bDeepLabV3\S*|\bTensorFlow 2\.15|\bTables 2 and 3|random3"
)


NETWORKS, BY_HAND = ("found", "arch0", "wacv-arch0"), ("arch0", "lw-refinenet", "deeplabv3")
DETECTORS = ("found-60", "fpn-fcos-60")
INT8 = ("arch2-int8", "arch1-int8", "arch0-int8")
IN_ORDER = ("arch2-int8", "arch1-int8", "camvid-ppo-best-int8", "arch0-int8")
OPERATIONS = ("CONV_2D 1x1", "DEPTHWISE_CONV_2D 5x5 rate 6", "RESIZE_BILINEAR")
LITERT, LITERT_2 = "LiteRT, 1 thread", "LiteRT, 2 threads"
TENSORFLOW, TENSORFLOW_2 = "TensorFlow, 1 thread", "TensorFlow, 2 threads"


def final(network: str, key: str, nth: int = 0) -> float:
    """A figure of one of the trained networks."""
    return cell("final_networks.md", network, key, nth)


def by_hand(network: str, key: str) -> float:
    """A figure of arch0 or of a decoder designed by hand."""
    return cell("baselines.md", network, key)


def detector(network: str, key: str, nth: int = 0) -> float:
    """A figure of one of the trained detectors."""
    return cell("bccd_networks.md", network, key, nth)


def ap_of_seeds() -> list[float]:
    """The least and the largest average precision of fpn-fcos over three seeds."""
    found = [detector(f"fpn-fcos-{seed}", "ap") for seed in (1, 2, 3)]
    return [min(found), max(found)]


def transferred(task: str, row: str, key: str = "from the trained network") -> float:
    return cell("transfer.md", row, key, heading=f"## {task} on `shapes`")


def late_means(oracles: Sequence[str], trial: int) -> list[float]:
    """The least and the largest mean, over the problems, of the best of some oracles."""
    best = [
        max(
            cell("oracles.md", item, f"mean @{trial}", heading=f"## {problem}") for item in oracles
        )
        for problem in PROBLEMS
    ]
    return [min(best), max(best)]


def of_ppo(problem: str) -> list[dict[str, str]]:
    """The row of PPO."""
    return [row for row in rows("oracles.md", f"## {problem}") if row["oracle"] == "PPO"]


def ahead(trial: int) -> list[float | Below]:
    """The means of PPO and of the better evolution, and the bound of their p."""
    ps = [cell("oracles.md", "PPO", f"p @{trial}", heading=f"## {item}") for item in PROBLEMS]
    return [*late_means(["PPO"], trial), *late_means(EVOLUTION, trial), Below(ps)]


def plain_runs() -> list[tuple[float, float]]:
    """The ratios in float32 and in bfloat16 of both runs without deformable convolutions."""
    page = (RESULTS / "steps.md").read_text(encoding="utf-8")
    return [(float(first), float(second)) for first, second in re.findall(PLAIN, page)]


def restored() -> list[float]:
    """How many times our time PyTorch takes for each restored picture."""
    return [
        float(row["PyTorch / function"]) for row in rows("steps.md") if "PyTorch / function" in row
    ]


def golden(space: str) -> int:
    """The number of genotypes with figures of the authors' code."""
    path = ROOT / "tests" / "golden" / f"{space}.json"
    return len({json.dumps(load["genotype"]) for load in json.loads(path.read_text())["entries"]})


CANDIDATE_RATIOS = [
    text("candidate.md", rf"\n{name} +([\d.]+) \(.*?\) +[\d.]+ \(.*?\) +([\d.]+) \(")
    for name in ("arch0", "arch1", "arch2", *(f"random{n}" for n in range(1, 6)))
]
FASTER = r"ours in {} against PyTorch channels_last float32: ([\d.]+) times"
RHO_OF = r"{}: Spearman's ρ = ([\d.]+) \((95) % ([\d.]+) to ([\d.]+), n = 14\)"
AMONG = r"ρ = ([\d.]+) \((95) % -?([\d.]+) to ([\d.]+), n = 16\)"
RHO = r"ρ = ([\d.]+) \((95) % ([\d.]+) to ([\d.]+), n = 12\); mean 0.5208"
SPACES = ("auxcell", "template", "xception")
PROBLEMS = (*SPACES, *(f"{space}, collapses" for space in SPACES))
EVOLUTION = ("evolution", "evolution, population 16")
AS_PUBLISHED = r"published: [^:]*\ncontiguous +[\d.]+ +[\d.]+ +([\d.]+) times ours in float32"
PLAIN = r"no deformable: [^:]*\ncontiguous +[\d.]+ +[\d.]+ +([\d.]+) times .* ([\d.]+) times"
TIMES_OURS = r"PyTorch, {}: [\d.]+, times ours: ([\d.]+) \(float32\) and ([\d.]+)"
SEARCHED = r"reward \| {}-{} \| \d+ \| [\d.]+ \| ([\d.]+).*{}"
BEST_OF = r"reward \| {}-{} \| \d+ \| ([\d.]+)"
PROBABILITY = r"p = ([\d.]+)"
DEEPLAB = "deeplabv3_mnv2_pascal_quant"
EPOCHS = r"--task {0} --config shapes_{0} full_training\.stages\.0\.epochs=(\d+)"
LAST_EPOCH = ("full_training.md", "70")

README: dict[str, Callable[[], Sequence[float | Below]]] = {
    "arch0 (2.6 M parameters) on CamVid val": lambda: [
        *text("full_training.md", r"arch0 at width 64 \(([\d,]+) parameters\)"),
        cell(*LAST_EPOCH, "epoch"),
        cell(*LAST_EPOCH, "minutes of training"),
        *text("full_training.md", r"\*\*val mIoU ([\d.]+)\*\*"),
    ],
    "the best of a CamVid search": lambda: [
        final("found", "parameters"),
        final("wacv-arch0", "parameters"),
        final("found", "epochs"),
        *(final(item, "mean_iou") for item in NETWORKS),
    ],
    "detectors on BCCD val at": lambda: [
        detector("found-60", "epochs"),
        *(detector(item, "multiply-adds") for item in DETECTORS),
        *(detector(item, "ap") for item in DETECTORS),
        *(detector(item, "int8, LiteRT, 1 / 2 threads, ms") for item in DETECTORS),
    ],
    "do ranks after a minute hold": lambda: [
        cell("longer.md", "as configured", "genotypes"),
        *text("longer.md", RHO),
    ],
    "a training step of a search, in float32": lambda: [
        *text("candidate.md", FASTER.format("float32")),
        *text("candidate.md", FASTER.format("bfloat16")),
    ],
    "a training step of NAS-FCOS's pyramid and head": lambda: [
        *text("steps.md", AS_PUBLISHED),
        *(in_float32 for in_float32, _ in plain_runs()),
    ],
    "a step of HiNAS's search by gradient, and restored": lambda: [
        text("steps.md", TIMES_OURS.format("contiguous"))[0],
        min(restored()),
        max(restored()),
    ],
    "mean reward on CamVid, 60 trials each": lambda: [
        *{len(rewards(item)) for item in ("evolution", "ppo", "random")},
        LAST,
        LAST,
        mean(rewards("evolution")[-LAST:]),
        mean(rewards("ppo")[-LAST:]),
        mean(rewards("random")),
    ],
    "what searching adds": lambda: [
        *text("search.md", r"in all ([\d.]+)% of the trials' time"),
        *text("search.md", r"beside their stages: ([\d.]+)%"),
    ],
    "int8 latency, DeepLabV3-MobileNetV2 = 1": lambda: [
        deployed(DEEPLAB, LITERT),
        *(deployed(item, LITERT) for item in INT8),
        *spread(INT8, LITERT_2, TENSORFLOW, TENSORFLOW_2),
    ],
}
INDEX: dict[str, Callable[[], Sequence[float | Below]]] = {
    "Networks have the counts of the authors' code": lambda: [
        golden("auxcell"),
        golden("template"),
        EXTRA_PARAMS,
    ],
    "A training step of the search is": lambda: [
        *README["a training step of a search, in float32"](),
        max(theirs / ours for ours, theirs in CANDIDATE_RATIOS),
        median(theirs / ours for ours, theirs in CANDIDATE_RATIOS),
    ],
    "A step of NAS-FCOS's pyramid and head takes": lambda: [
        *text("steps.md", AS_PUBLISHED),
        *itertools.chain(*zip(*plain_runs(), strict=True)),
    ],
    "A step of HiNAS's search by gradient takes": lambda: [
        *text("steps.md", TIMES_OURS.format("contiguous")),
        min(restored()),
        max(restored()),
        text("steps.md", TIMES_OURS.format("channels_last"))[0],
    ],
    "On six synthetic problems, PPO guided by its predictor": lambda: [
        *{float(row["seeds"]) for item in PROBLEMS for row in of_ppo(item)},
        LAST,
        100,
        *ahead(100),
        300,
        *ahead(300),
    ],
    "On CamVid, the last 20 of evolution's 60 trials": lambda: [
        LAST,
        len(rewards("evolution")),
        len(rewards("random")),
        mean(rewards("evolution")[-LAST:]),
        mean(rewards("random")),
        p_of("evolution", LAST),
        LAST,
        mean(rewards("ppo")[-LAST:]),
        p_of("ppo", LAST),
        len(rewards("ppo")),
        mean(rewards("ppo")),
    ],
    "On BCCD, the pyramids of detectors that PPO tried": lambda: [
        *text("bccd_search.md", r"reward \| fpn-ppo \| (\d+)"),
        *text("bccd_search.md", SEARCHED.format("fpn", "ppo", "")),
        *text("bccd_search.md", SEARCHED.format("fpn", "random", PROBABILITY)),
        *text("bccd_search.md", BEST_OF.format("fpn", "ppo")),
    ],
    "On the best of those pyramids, the heads": lambda: [
        *text("bccd_heads.md", r"reward \| head-ppo \| (\d+)"),
        *text("bccd_heads.md", SEARCHED.format("head", "ppo", "")),
        *text("bccd_heads.md", SEARCHED.format("head", "random", PROBABILITY)),
        *text("bccd_heads.md", BEST_OF.format("head", "ppo")),
        *text("bccd_heads.md", BEST_OF.format("head", "random")),
    ],
    "Scores after four epochs rank heads": lambda: [
        *text("bccd_heads.md", r"(\d+) of \d+ candidates were trained longer"),
        *text("bccd_heads.md", RHO_OF.format("Search against longer training")),
        *text("bccd_heads.md", RHO_OF.format("Score in the search against ap .*training")),
        *text("bccd_heads.md", r"trained longer, (\d+) epochs"),
        *text("bccd_heads.md", r"nothing that was searched here, scores ([\d.]+)"),
        *text("bccd_heads.md", r"the best here ([\d.]+)"),
    ],
    "A found detector is smaller and faster": lambda: [
        detector("found-60", "epochs"),
        *(detector(item, key) for item in DETECTORS for key in ("ap", "multiply-adds")),
        *(
            detector(item, key)
            for item in DETECTORS
            for key in ("ap as int8", "int8, LiteRT, 1 / 2 threads, ms")
        ),
        detector("found", "epochs"),
        detector("found", "ap"),
        *ap_of_seeds(),
        *(detector("nas-fcos", key) for key in ("ap", "multiply-adds")),
    ],
    "A candidate of a search of pyramids takes": lambda: [
        *text("candidate.md", r"a candidate: median ([\d.]+) s, worst ([\d.]+) s\n```"),
        *text("candidate.md", r"median (1[\d.]+)%, worst ([\d.]+)%\na candidate"),
    ],
    "The ranking after five epochs on cached features": lambda: text("longer.md", RHO),
    "Three epochs on cached features rank the parts of ASPP": lambda: [
        cell("camvid_dpc_parts.md", "as configured", "genotypes"),
        *ranked("as configured"),
        *ranked("stage_one.epochs=1"),
        *text(
            "camvid_dpc_parts.md", r"The (\d+) genotypes with the 1x1.* score ([\d.]+) to ([\d.]+)"
        ),
        *text("camvid_dpc_parts.md", r"The (\d+) genotypes without .* to ([\d.]+) after"),
        *text("camvid_dpc_parts.md", rf"genotypes with .*; as configured {AMONG}"),
        *text("camvid_dpc_parts.md", rf"genotypes with .*; stage_one.epochs=1 {AMONG}"),
    ],
    "Cheap scores of restoration networks do not rank": lambda: [
        *ranked("as configured", "bsd500_study.md"),
        *ranked("search.supernet=runs/denoise", "bsd500_study.md"),
        *(end(column("bsd500_study/scores.csv", "longer training")) for end in (min, max)),
        *text("bsd500_search.md", r"gradient\.epochs=(\d+)"),
        load("bsd500_denoise").gradient.epochs,
    ],
    "The network that evolution found on CamVid scores higher": lambda: [
        *(final("found", key) for key in ("mean_iou", "parameters", "multiply-adds")),
        *(final("arch0", key) for key in ("mean_iou", "parameters", "multiply-adds")),
        *(final("wacv-arch0", key) for key in ("parameters", "mean_iou")),
        *(final(item, "mean_iou as int8") for item in NETWORKS),
        *(final(item, "int8, LiteRT, 1 / 2 threads, ms") for item in NETWORKS),
        final("found", "epochs"),
    ],
    "The paper's arch0 is more precise on CamVid": lambda: [
        *(by_hand("arch0", key) for key in ("mean_iou", "multiply-adds")),
        by_hand("lw-refinenet", "mean_iou"),
        *text("baselines.md", r"- lw-refinenet: .* width (\d+)"),
        by_hand("lw-refinenet", "multiply-adds"),
        *(by_hand("deeplabv3", key) for key in ("mean_iou", "multiply-adds")),
        *(by_hand(item, "mean_iou as int8") for item in BY_HAND),
        *(by_hand(item, "int8, LiteRT, 1 / 2 threads, ms") for item in BY_HAND),
        by_hand("arch0", "epochs"),
    ],
    "The found network transfers to depth": lambda: [
        *text("transfer.md", EPOCHS.format("depth")),
        transferred("depth", "delta1"),
        *text("transfer.md", EPOCHS.format("pose")),
        transferred("pose", "pckh@0.5"),
        transferred("depth", "delta1", "from ImageNet's encoder"),
        transferred("pose", "pckh@0.5", "from ImageNet's encoder"),
        *text("transfer.md", r"scenes of (\d+) pixels"),
    ],
    "A compact network learns CamVid": lambda: [
        *text("full_training.md", r"arch0 at width 64 \(([\d,]+) parameters\)"),
        *text("full_training.md", r"\*\*val mIoU ([\d.]+)\*\*"),
        cell(*LAST_EPOCH, "epoch"),
        cell(*LAST_EPOCH, "minutes of training"),
    ],
    "Any detector that a search may propose": lambda: [
        *text("detector_codes.md", r"fpn: (\d+) of (\d+) passed"),
        *text("detector_codes.md", r"head: (\d+) of (\d+) passed"),
        *text("detector_codes.md", r"at width (\d+) for images of (\d+) pixels"),
    ],
    "In int8 the published networks take": lambda: [
        *in_8_bits("wacv-arch0", "wacv-arch1", "arch0"),
        *operations_in_8_bits("wacv-arch1", OPERATIONS),
    ],
    "In int8 by LiteRT on one thread": lambda: [
        *(deployed(item, LITERT) for item in IN_ORDER),
        *(deployed(item, LITERT_2) for item in IN_ORDER),
        *spread(IN_ORDER, TENSORFLOW, TENSORFLOW_2),
        *spread(("wacv-arch0-int8", "wacv-arch1-int8"), LITERT, LITERT_2),
    ],
}


def claims(path: Path, table_of: dict[str, Callable]) -> list:
    """Rows with figures in the tables of a page, each with the key of where they come from."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        has_figures = path.name == "index.md" or "docs/results/" in line
        if line.startswith("| ") and has_figures and figures(line):
            key = next((item for item in table_of if line[2:].startswith(item)), "")
            found.append(pytest.param(line, table_of.get(key), id=f"{path.name}:{line[2:50]}"))
    return found


def figures(line: str) -> list[tuple[str, str]]:
    """The numbers of a row, without those of names, code and links."""
    return numbers(NAMES.sub("", LINK.sub("]", line)))


CLAIMS = [
    *claims(ROOT / "README.md", README),
    *claims(RESULTS / "index.md", INDEX),
]


@pytest.mark.parametrize(("line", "source"), CLAIMS)
def test_a_row_says_what_its_pages_say(line: str, source: Callable | None) -> None:
    assert source is not None, "the row has no entry that says where its figures come from"
    assert wrong(figures(line), source()) == []


@pytest.mark.parametrize(("line", "source"), CLAIMS)
def test_figures_that_are_swapped_or_changed_are_found(line: str, source: Callable) -> None:
    written, values = figures(line), source()
    for n, m in itertools.combinations(range(len(written)), 2):
        if written[n][0] != written[m][0]:
            swapped = list(written)
            swapped[n], swapped[m] = written[m], written[n]
            assert wrong(swapped, values), f"{written[n][0]} and {written[m][0]} swapped"
    for n, (number, behind) in enumerate(written):
        if not isinstance(values[n], Below):
            last = Decimal(1).scaleb(Decimal(number).as_tuple().exponent)
            changed = [*written[:n], (str(Decimal(number) + 2 * last), behind), *written[n + 1 :]]
            assert wrong(changed, values), f"{number} changed"


def test_every_source_has_its_row() -> None:
    assert len(CLAIMS) == len(README) + len(INDEX)
    assert says("0.701", " (", 0.7006)
    assert says("2.6", " M", 2620875.0)
    assert says("1e-09", ",", 1.3e-9)
    assert not says("0.702", " (", 0.7006)
    assert not says("2.7", " M", 2620875.0)
    assert not says("2.6", " B", 2620875.0)
    assert not says("1e-08", ",", 1.3e-9)
