"""Times every operation of our TFLite models alone, in float and in 8 bits: where does int8 gain?

python -m benchmarks.lite_operations --out OUT [--docs docs/results]   # converts absent models

Each operation becomes a model of its own with the shapes, weights and ranges that it has in the
network, and is timed on random values by LiteRT on one thread; the complete models are timed in
turns, on one and two threads. Dilated and strided windows are kinds of their own.
"""

import argparse
import copy
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from tensorflow.lite.python import schema_py_generated as schema

from benchmarks import deploy
from serving import lite_runner, measure

NAMES = ("wacv-arch0", "wacv-arch1", "arch0")
GOAL, ROUNDS, SECONDS = 0.6, 3, 0.25
_CODES = {code: kind for kind, code in vars(schema.BuiltinOperator).items() if kind[0] != "_"}
_WINDOWS = ("CONV_2D", "DEPTHWISE_CONV_2D")
Times = Mapping[str, list[float]]
"""Milliseconds of the operations of each kind."""


def main() -> None:
    """Prints the page, and writes it if ``--docs`` is given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path)
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    paths = list(deploy.converted(arguments.out, arguments.names))
    runtime = lite_runner.runtimes()["LiteRT"]
    contents = {path: path.read_bytes() for path in paths}
    rows = measure.time_in_turns(contents, {"LiteRT": runtime}, (1, 2), arguments.rounds)
    lines = [
        HEAD.format(device=measure.device(), rounds=arguments.rounds),
        "",
        *totals(list(rows)),
    ]
    for name in arguments.names:
        times = [
            by_kind((arguments.out / f"{name}-{kind}.tflite").read_bytes(), runtime)
            for kind in deploy.KINDS
        ]
        lines += ["", f"## {name}", "", *table(*times)]
    print(text := "\n".join(lines))
    if arguments.docs:
        (arguments.docs / "int8_operations.md").write_text(f"{text}\n", encoding="utf-8")


def by_kind(content: bytes, runtime: Any) -> Times:
    """Returns the milliseconds of a model's operations, each timed as a model of its own."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    found = defaultdict(list)
    for operator in model.subgraphs[0].operators:
        alone = single(model, operator)
        timing = measure.time_model(alone, seconds=SECONDS, runtime=runtime)
        found[kind_of(model, operator)].append(timing.median_ms)
    return found


def kind_of(model: Any, operator: Any) -> str:
    """Returns an operation's kind, for convolutions with kernel, dilation and stride."""
    code = model.operatorCodes[operator.opcodeIndex]
    kind, options = (
        _CODES[max(code.builtinCode, code.deprecatedBuiltinCode)],
        operator.builtinOptions,
    )
    if kind not in _WINDOWS:
        return kind
    height, width = model.subgraphs[0].tensors[operator.inputs[1]].shape[1:3]
    options = operator.builtinOptions
    rate, stride = options.dilationHFactor, options.strideH
    words = [kind, f"{height}x{width}"]
    words += [f"rate {rate}"] * (rate > 1) + [f"stride {stride}"] * (stride > 1)
    return " ".join(words)


def single(model: Any, operator: Any) -> bytes:
    """Returns a model of one operation of a model, with its weights and ranges."""
    graph, own, places = model.subgraphs[0], schema.SubGraphT(), {-1: -1}
    buffers, own.tensors = [schema.BufferT()], []
    for place in dict.fromkeys((*operator.inputs, *operator.outputs)):
        if place == -1:
            continue
        tensor = copy.copy(graph.tensors[place])
        data = model.buffers[tensor.buffer]
        tensor.buffer = 0
        if data.data is not None and len(data.data):
            buffers.append(data)
            tensor.buffer = len(buffers) - 1
        places[place] = len(own.tensors)
        own.tensors.append(tensor)
    operator = copy.copy(operator)
    code, operator.opcodeIndex = model.operatorCodes[operator.opcodeIndex], 0
    operator.inputs = [places[place] for place in operator.inputs]
    operator.outputs = own.outputs = [places[place] for place in operator.outputs]
    read = (place for place in dict.fromkeys(operator.inputs) if place >= 0)
    own.inputs = [place for place in read if own.tensors[place].buffer == 0]
    own.name, own.operators = b"main", [operator]
    found = schema.ModelT()
    found.version, found.operatorCodes, found.buffers = 3, [code], buffers
    found.subgraphs = [own]
    builder = flatbuffers.Builder(1024)
    builder.Finish(found.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def totals(rows: list[measure.TimedModel]) -> Iterator[str]:
    """Yields a row per network: float, int8 and their ratio, on one and two threads."""
    found = {(row.name, row.threads): np.median(row.medians) for row in rows}
    yield "| network | threads | fp32, ms | int8, ms | int8 / fp32 |"
    yield "|---|---:|---:|---:|---:|"
    for name, threads in found:
        if name.endswith("-fp32.tflite"):
            network = name.removesuffix("-fp32.tflite")
            times = found[name, threads], found[f"{network}-int8.tflite", threads]
            cells = f"{times[0]:.1f} | {times[1]:.1f} | {times[1] / times[0]:.2f}"
            yield f"| {network} | {threads} | {cells} |"


def table(fp32: Times, int8: Times) -> Iterator[str]:
    """Yields a row per kind of operation, the longest in int8 first, then the sums."""
    yield "| operation | number | fp32, ms | int8, ms | int8 / fp32 |"
    yield "|---|---:|---:|---:|---:|"
    for kind in sorted(fp32 | int8, key=lambda kind: -sum(int8.get(kind, [0.0]))):
        yield _row(kind, fp32.get(kind, []), int8.get(kind, []))
    yield _row("all, each alone", *(list(chain(*times.values())) for times in (fp32, int8)))


def _row(kind: str, fp32: list[float], int8: list[float]) -> str:
    cells = [f"{sum(times):.2f}" if times else "" for times in (fp32, int8)]
    ratio = f"{sum(int8) / sum(fp32):.2f}" if fp32 and int8 else ""
    return f"| {kind} | {len(int8) or len(fp32)} | {cells[0]} | {cells[1]} | {ratio} |"


HEAD = """\
# Where 8 bits gain, by operation

Output of `python -m benchmarks.lite_operations`, on {device}. Networks with random weights at
513x513 with 21 classes, up to a label map of full size, by LiteRT with XNNPACK. First the complete
networks, medians of {rounds} rounds in which each has its turn. Then each operation alone, with
the shapes, weights and ranges that it has in the network, on random values and one thread."""

if __name__ == "__main__":
    main()
