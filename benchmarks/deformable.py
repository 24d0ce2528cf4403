"""Times the deformable convolution and other ways to compute it, forward and with gradients.

    python benchmarks/deformable.py [--rounds 3] [--python PATH]

The others are gathers, differentiated by TensorFlow (the form that is exported),
``tfa.image.resampler``, and with ``--python``, a Python that has them, PyTorch and
``torchvision.ops.deform_conv2d``. Each has its turns in a process of its own, on one thread.
Prints the processor time of the fastest call, and, for a map of twice the height and width, the
memory that a call with gradients takes at its peak, over that of the samples of all nine taps. It
is the first call, because TensorFlow returns no memory to the system.
"""

import argparse
import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BATCH, SIZE, CHANNELS, FILTERS, GROUPS = 8, 32, 128, 128, 2
LARGE = 2 * SIZE
SAMPLES = BATCH * LARGE**2 * 9 * CHANNELS * 4
CALLS = 10
PEER = "torchvision"


def arrays(size: int) -> list[np.ndarray]:
    """Returns a map, offsets of about a pixel, a mask and a kernel; channels last."""
    rng = np.random.default_rng(1)
    shape = (BATCH, size, size)
    found = (
        rng.normal(size=(*shape, CHANNELS)),
        rng.normal(size=(*shape, 18 * GROUPS)),
        rng.uniform(size=(*shape, 9 * GROUPS)),
        rng.normal(size=(3, 3, CHANNELS, FILTERS)),
    )
    return [array.astype(np.float32) for array in found]


def tensorflow_calls(name: str, size: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a call forward, and one with gradients."""
    from nas_tf import quiet

    tf = quiet.load("tensorflow")
    from nas_tf.networks.deformable import deformable_conv

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    def forward(*read: Any) -> Any:
        if name == "resampler":
            return resampled(tf, *read)
        return deformable_conv(*read, groups=GROUPS, for_conversion=name == "gathers")

    def both(*read: Any) -> Any:
        y = forward(*read)
        return [y, *tf.gradients(y, read)]

    small, read = ([tf.constant(array) for array in arrays(number)] for number in (8, size))
    calls = []
    for function in (tf.function(forward, autograph=False), tf.function(both, autograph=False)):
        function(*small)
        calls.append(functools.partial(function.get_concrete_function(*read), *read))
    return calls[0], calls[1]


def resampled(tf: Any, x: Any, offsets: Any, mask: Any, kernel: Any) -> Any:
    """Computes the convolution with the samples of ``tfa.image.resampler``."""
    from nas_tf import quiet

    resampler = quiet.load("tensorflow_addons").image.resampler
    batch, height, width, channels = x.shape
    depth = channels // GROUPS
    row, column = np.indices((height, width), np.float32).reshape(2, -1, 1, 1)
    tap_row, tap_column = np.indices((3, 3)).reshape(2, 9) - 1
    shifts = tf.reshape(offsets, (batch, height * width, GROUPS, 9, 2))
    rows, columns = shifts[..., 0] + row + tap_row, shifts[..., 1] + column + tap_column
    at = tf.transpose(tf.stack([columns, rows], -1), (0, 2, 1, 3, 4))
    by_group = tf.transpose(tf.reshape(x, (batch, height, width, GROUPS, depth)), (0, 3, 1, 2, 4))
    samples = resampler(
        tf.reshape(by_group, (batch * GROUPS, height, width, depth)),
        tf.reshape(at, (batch * GROUPS, height * width * 9, 2)),
    )
    samples = tf.reshape(samples, (batch, GROUPS, height * width, 9, depth))
    factors = tf.transpose(tf.reshape(mask, (batch, height * width, GROUPS, 9)), (0, 2, 1, 3))
    samples = tf.transpose(samples * factors[..., None], (0, 2, 3, 1, 4))
    flat = tf.reshape(samples, (-1, 9 * channels))
    y = flat @ tf.reshape(kernel, (9 * channels, -1))
    return tf.reshape(y, (batch, height, width, y.shape[-1]))


def torchvision_calls(size: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Returns a call forward, and one with gradients."""
    import torch
    from torchvision.ops import deform_conv2d

    torch.set_num_threads(1)

    def call(read: list[Any]) -> Any:
        x, offsets, mask, kernel = read
        return deform_conv2d(x, offsets, kernel, padding=1, mask=mask)

    def forward(read: list[Any]) -> Any:
        with torch.no_grad():
            return call(read)

    def both(read: list[Any]) -> Any:
        y = call(read)
        return [y, *torch.autograd.grad(y, read, torch.ones_like(y))]

    def tensors(number: int) -> list[Any]:
        *maps, kernel = arrays(number)
        first = [np.moveaxis(array, -1, 1) for array in maps] + [kernel.transpose(3, 2, 0, 1)]
        return [torch.tensor(np.ascontiguousarray(array), requires_grad=True) for array in first]

    both(tensors(8))
    read = tensors(size)
    return lambda: forward(read), lambda: both(read)


def peak(work: Callable[[], Any]) -> int:
    """Returns the bytes that a call adds to the memory of this process, at its peak."""

    def status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    work()
    return status("VmHWM") - before


def fastest(work: Callable[[], Any]) -> float:
    """Returns the processor seconds of the fastest call."""
    seconds = []
    for _ in range(CALLS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measured(name: str, python: str) -> dict[str, float]:
    """Measures one way to compute it in a process of its own."""
    command = [python, __file__, "--measure", name]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{python} can't measure {name}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Prints a line for each way to compute it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", help="A Python that has PyTorch and torchvision.")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if name := options.measure:
        of_size = torchvision_calls if name == PEER else functools.partial(tensorflow_calls, name)
        taken = peak(of_size(LARGE)[1]) / SAMPLES
        forward, both = of_size(SIZE)
        print(json.dumps({"forward": fastest(forward), "both": fastest(both), "peak": taken}))
        return
    pythons = dict.fromkeys(("ours", "gathers", "resampler"), sys.executable)
    if options.python:
        pythons[PEER] = options.python
    rounds = [
        {name: measured(name, python) for name, python in pythons.items()}
        for _ in range(options.rounds)
    ]
    least = {
        name: {key: min(each[name][key] for each in rounds) for key in ("forward", "both")}
        for name in pythons
    }
    print(
        f"{BATCH}x{SIZE}x{SIZE}x{CHANNELS}, {GROUPS} groups, {FILTERS} filters, one thread; "
        "in brackets how many times the time of ours"
    )
    print(f"{'':12}{'forward':>18}{'with gradients':>20}{'peak / samples':>18}")
    for name, found in least.items():
        cells = (
            f"{1000 * found[key]:.0f} ms ({found[key] / least['ours'][key]:.1f})"
            for key in ("forward", "both")
        )
        most = max(each[name]["peak"] for each in rounds)
        print("{:12}{:>18}{:>20}{:18.2f}".format(name, *cells, most))


if __name__ == "__main__":
    main()
