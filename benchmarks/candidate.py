"""Measures the cost of a candidate: its steps, workers, and PyTorch for comparison.

    python benchmarks/candidate.py [--only steps] [--reference PATH --python PATH]

Parts: ``steps`` times the step on random features of 256x256 at batch 8, one thread, and likewise
the authors' code with ``--reference`` (a checkout) and ``--python`` (one with PyTorch);
``workers`` counts the steps of two single-thread processes against one; ``recipes`` times steps of
two equal recipes in turns against steps of one; ``fit`` breaks down the cost of Keras's ``fit``.
Every ratio is of figures that were measured in turns in one run. ``stage_one.py`` measures all
of stage one, as a search runs it.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nas_tf import networks, quiet, spaces
from nas_tf.genotype import Genotype

PARTS = ("steps", "workers", "recipes", "fit")
SIZE, BATCH, CLASSES = 256, 8, 11
FORMS = ("float32", "bfloat16")


def candidates() -> dict[str, Genotype]:
    """Returns the published genotypes and five random ones, by name."""
    space = spaces.get("auxcell")
    found = {name: spaces.resolve(name) for name in ("arch0", "arch1", "arch2")}
    return found | {f"random{n}": space.sample(random.Random(n)) for n in range(1, 6)}


def in_child(*arguments: str) -> list[dict[str, Any]]:
    """Runs a part of this script in a new process and returns the JSON lines it prints."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def steps(options: argparse.Namespace) -> None:
    """Prints seconds of a step and of a prediction, ours and the authors', and the ratios."""
    best: dict[str, dict[str, list[float]]] = {}

    def record(form: str, rows: list[dict[str, Any]]) -> None:
        for name, row in zip(candidates(), rows, strict=True):
            known = best.setdefault(form, {}).get(name, [9e9, 9e9])
            best[form][name] = [min(known[0], row["step"]), min(known[1], row["evaluate"])]

    for _ in range(options.rounds):
        for form in FORMS:
            record(form, in_child("--child", "steps", "--precision", form))
        if options.reference:
            for layout in ("channels_last", "contiguous"):
                record(f"PyTorch {layout}", reference(options, layout))
    print(f"a step at {SIZE}x{SIZE}, batch {BATCH}, one thread: seconds (of a prediction)")
    print("genotype  " + "".join(f"{form:>24}" for form in best))
    for name in candidates():
        cells = (f"{item[name][0]:.3f} ({item[name][1]:.3f})" for item in best.values())
        print(f"{name:10}" + "".join(f"{cell:>24}" for cell in cells))
    for theirs in (form for form in best if form.startswith("PyTorch")):
        for ours in FORMS:
            ratios = [best[theirs][name][0] / best[ours][name][0] for name in candidates()]
            mean = float(np.exp(np.mean(np.log(ratios))))
            print(f"ours in {ours} against {theirs} float32: {mean:.2f} times as fast")
    own = [best["float32"][name][0] / best["bfloat16"][name][0] for name in candidates()]
    print(f"bfloat16 against float32: {float(np.exp(np.mean(np.log(own)))):.2f}\n")


def reference(options: argparse.Namespace, layout: str) -> list[dict[str, Any]]:
    """Times the authors' step by ``reference_step.py``."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for genotype in candidates().values():
            file.write(json.dumps(genotype.parts) + "\n")
        file.flush()
        script = Path(__file__).with_name("reference_step.py")
        command = [options.python, script, "--checkout", options.reference, "--layout", layout]
        done = subprocess.run(
            [*map(str, command), "--genotypes", file.name],
            capture_output=True,
            text=True,
            check=True,
        )
    return [json.loads(line) for line in done.stdout.splitlines()]


def random_batch() -> tuple[dict[str, Any], Any, Any]:
    """Returns features, labels and teacher logits of the size used for the authors' code."""
    tf = quiet.load("tensorflow")
    rng = np.random.default_rng(0)
    taps = {
        f"tap{n}": tf.constant(rng.random((BATCH, SIZE // s, SIZE // s, c), np.float32))
        for n, (s, c) in enumerate(((4, 24), (8, 32), (16, 96), (32, 320)))
    }
    labels = tf.constant(rng.integers(0, CLASSES, (BATCH, SIZE // 4, SIZE // 4)), tf.int32)
    teacher = rng.standard_normal((BATCH, SIZE // 4, SIZE // 4, CLASSES), np.float32)
    return taps, labels, tf.constant(teacher)


def decoder(genotype: Genotype) -> Any:
    """Returns the blueprint of the decoder that stage one trains, at the benchmark's size."""
    settings = networks.settings.search("auxcell")
    blueprint = networks.blueprint_of(
        genotype, CLASSES, input_size=(SIZE, SIZE), settings=settings
    )
    return blueprint.decoder(settings.encoder.tap_layers())


def learner(blueprint: Any, precision: str) -> Any:
    """Returns stage one's learner of a decoder, with its recipe under two names."""
    from nas_tf.config.schema import StageOne
    from nas_tf.networks.arrays import layouts
    from nas_tf.networks.state import from_arrays, initial_arrays
    from nas_tf.tasks import Segmentation
    from nas_tf.training import hardware
    from nas_tf.training.learner import Learner, Recipe

    stage = StageOne()
    recipe = Recipe(
        optimisers={"decoder": stage.decoder},
        normalising=frozenset({"decoder"}),
        polyak=stage.polyak,
        distillation=stage.distillation,
        auxiliary_weight=stage.auxiliary_weight,
    )
    parts = layouts(blueprint)
    state = from_arrays(parts, initial_arrays(blueprint, seed=1))
    task = Segmentation(CLASSES, ignore_label=255)
    policy = hardware.precision(precision)
    recipes = {"train": recipe, "same": recipe}
    return Learner(blueprint, task, recipes, state, parts, precision=policy)


def steps_child(options: argparse.Namespace) -> None:
    """Times our step and prints a JSON line per candidate."""
    tf = quiet.load("tensorflow")
    from nas_tf.training import hardware
    from nas_tf.training.scoring import shipped

    hardware.use_threads(1)
    taps, labels, teacher = random_batch()
    for genotype in candidates().values():
        blueprint = decoder(genotype)
        item = learner(blueprint, options.precision)
        step = shortest(lambda item=item: item.step(taps, labels, {"decoder": 3e-3}, teacher))
        run = tf.function(shipped(blueprint, item.state()), autograph=False)
        predict = shortest(lambda run=run: run(taps)["logits"])
        print(json.dumps({"step": round(step, 4), "evaluate": round(predict, 4)}), flush=True)


def shortest(work: Callable[[], Any], times: int = 6) -> float:
    """Returns the seconds of the fastest call, after one that is not counted."""
    np.asarray(work())
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        np.asarray(work())
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def workers(options: argparse.Namespace) -> None:
    """Prints the steps per second of one and of two single-thread processes, in turns."""
    ratios, rates = [], []
    for _ in range(options.rounds):
        alone, both = (_together(count, options.precision) for count in (1, 2))
        ratios.append(both / alone)
        rates.append((alone, both))
    alone, both = (max(side) for side in zip(*rates, strict=True))
    print(
        f"arch0 in {options.precision}, steps/s: one worker {alone:.2f}, two {both:.2f}, "
        f"ratio {statistics.median(ratios):.2f} (median of {options.rounds})\n"
    )


def _together(count: int, precision: str) -> float:
    """Returns the steps per second of ``count`` processes over the same ten seconds."""
    command = [sys.executable, __file__, "--child", "worker", "--precision", precision]
    start = str(time.time() + 25)
    running = [
        subprocess.Popen([*command, "--begin", start], stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    return sum(float(item.communicate()[0]) for item in running)


def worker_child(options: argparse.Namespace) -> None:
    """Waits for the common start, then counts the steps of ten seconds."""
    quiet.load("tensorflow")
    from nas_tf.training import hardware

    hardware.use_threads(1)
    taps, labels, teacher = random_batch()
    item = learner(decoder(spaces.resolve("arch0")), options.precision)
    for _ in range(2):
        item.step(taps, labels, {"decoder": 3e-3}, teacher).numpy()
    time.sleep(max(0.0, options.begin - time.time()))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < 10:
        item.step(taps, labels, {"decoder": 3e-3}, teacher).numpy()
        count += 1
    print(count / (time.perf_counter() - start))


def recipes(options: argparse.Namespace) -> None:
    """Prints what changing the recipe at every step adds to a step."""
    command = ("--child", "recipes", "--precision", options.precision)
    (row,) = in_child(*command, "--rounds", str(options.rounds))
    print(
        f"a step of arch0 in {options.precision}: {row['alone']:.4f} s, {row['turns']:.4f} s with "
        f"recipes in turns, {100 * row['cost']:+.2f} % (median of {row['blocks']} pairs), "
        f"{row['traces']} traces\n"
    )


def recipes_child(options: argparse.Namespace) -> None:
    """Times blocks of steps by one recipe and by two in turns, one block after the other."""
    quiet.load("tensorflow")
    from nas_tf.training import hardware

    hardware.use_threads(1)
    taps, labels, teacher = random_batch()
    item = learner(decoder(spaces.resolve("arch0")), options.precision)

    def block(*names: str) -> float:
        start = time.perf_counter()
        for name in 2 * names:
            float(item.step(taps, labels, {"decoder": 3e-3}, teacher, by=name))
        return (time.perf_counter() - start) / (2 * len(names))

    block("train", "same")
    pairs = [(block("train", "train"), block("train", "same")) for _ in range(10 * options.rounds)]
    alone, turns = (statistics.median(side) for side in zip(*pairs, strict=True))
    cost = statistics.median(second / first for first, second in pairs) - 1
    row = {"alone": alone, "turns": turns, "cost": cost, "blocks": len(pairs)}
    print(json.dumps(row | {"traces": item._step.experimental_get_tracing_count()}))


def fit(options: argparse.Namespace) -> None:
    """Prints the cost of the first step beyond that of a later one, in each of five ways."""
    print("first step of arch0 beyond a step's own time, float32, and operations of its graph")
    ways = ("fit", "fit, SGD", "step, Adam a variable", "step, gradients only", "ours")
    for way in ways:
        (row,) = in_child("--child", "fit", "--way", way)
        print(f"  {way:22} {row['seconds']:6.1f} s  {row['operations']:6} operations")
    print()


def fit_child(options: argparse.Namespace) -> None:
    """Measures one of the ways on the second model of a process."""
    quiet.load("tensorflow")
    from nas_tf.training import hardware

    hardware.use_threads(1)
    for number in range(2):
        row = _first_step(options.way)
        if number:
            print(json.dumps(row))


def _first_step(way: str) -> dict[str, Any]:
    tf = quiet.load("tensorflow")
    taps, labels, teacher = random_batch()
    if way == "ours":
        item = learner(decoder(spaces.resolve("arch0")), "float32")
        seconds = _excess(lambda: item.step(taps, labels, {"decoder": 3e-3}, teacher))
        read = (taps, labels, teacher, np.ones(1, np.float32), "train")
        graph = item._step.get_concrete_function(*read)
        return {"seconds": seconds, "operations": len(graph.graph.get_operations())}
    model = networks.build_decoder(
        spaces.resolve("arch0"),
        CLASSES,
        input_size=(SIZE, SIZE),
        settings=networks.settings.search("auxcell"),
    )
    taps = {name: taps[name] for name in model.input_names}
    entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    targets = {
        name: tf.image.resize(labels[..., None], size[1:3], method="nearest")[..., 0]
        for name, size in model.output_shape.items()
    }
    if way.startswith("fit"):
        kind = tf.keras.optimizers.SGD if "SGD" in way else tf.keras.optimizers.Adam
        model.compile(kind(3e-3), entropy)
        data = tf.data.Dataset.from_tensors((taps, targets))
        seconds = _excess(lambda: model.fit(data, verbose=0).history["loss"])
        step = model.make_train_function()
        return {"seconds": seconds, "operations": _operations(step, data)}
    optimiser = tf.keras.optimizers.Adam(3e-3)

    @tf.function(autograph=False)
    def step() -> Any:
        with tf.GradientTape() as tape:
            outputs = model(taps, training=True)
            loss = tf.add_n([entropy(targets[name], outputs[name]) for name in targets])
        gradients = tape.gradient(loss, model.trainable_weights)
        if "Adam" in way:
            optimiser.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
            return loss
        return tf.add_n([tf.reduce_sum(gradient) for gradient in gradients])

    seconds = _excess(step)
    return {
        "seconds": seconds,
        "operations": len(step.get_concrete_function().graph.get_operations()),
    }


def _operations(step: Any, data: Any) -> int:
    """Counts operations of the graph that ``fit`` runs, including its inner functions."""
    graph = step.get_concrete_function(iter(data)).graph
    inner = graph.as_graph_def().library.function
    return len(graph.get_operations()) + sum(len(item.node_def) for item in inner)


def _excess(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    np.asarray(work())
    first = time.perf_counter() - start
    return first - shortest(work, 3)


def main() -> None:
    """Runs the requested parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--reference", type=Path, help="A checkout of nas-segm-pytorch.")
    parser.add_argument("--python", default="python3", help="A Python that has PyTorch.")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--way", help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    children = {
        "steps": steps_child,
        "worker": worker_child,
        "recipes": recipes_child,
        "fit": fit_child,
    }
    if options.child:
        children[options.child](options)
        return
    for part in options.only or PARTS:
        {"steps": steps, "workers": workers, "recipes": recipes, "fit": fit}[part](options)


if __name__ == "__main__":
    main()
