"""One training step of the authors' PyTorch decoders, for a comparison on the same machine.

    python benchmarks/reference_step.py --checkout PATH --genotypes FILE [--layout contiguous]

Runs under a Python that has PyTorch, not under ours; PATH is a checkout of nas-segm-pytorch. FILE
has one genotype per line in the paper's brackets. The step is stage one of their search: features
to logits, cross-entropy of logits and auxiliaries at the finest tap's size, distance to a
teacher, gradient clip, Adam, Polyak average. Their prediction also computes the auxiliary cells,
which ours leaves out. Prints one JSON object per genotype.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

CHANNELS, STRIDES = (24, 32, 96, 320), (4, 8, 16, 32)


def parsed() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, required=True)
    parser.add_argument("--genotypes", type=Path, required=True)
    parser.add_argument(
        "--layout", choices=("channels_last", "contiguous"), default="channels_last"
    )
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--width", type=int, default=48)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=6)
    return parser.parse_args()


class Step:
    """A decoder of the authors with random features, and the work of a step on it."""

    def __init__(self, torch: Any, decoder: Any, options: argparse.Namespace) -> None:
        self.torch, self.decoder = torch, decoder
        last = options.layout == "channels_last"
        self.layout = torch.channels_last if last else torch.contiguous_format
        decoder.to(memory_format=self.layout)
        self.optimiser = torch.optim.Adam(decoder.parameters(), lr=3e-3, weight_decay=1e-5)
        self.average = [parameter.detach().clone() for parameter in decoder.parameters()]
        batch, size = options.batch, options.size
        self.taps = [
            torch.randn(batch, channels, size // stride, size // stride).to(
                memory_format=self.layout
            )
            for channels, stride in zip(CHANNELS, STRIDES, strict=True)
        ]
        self.size = (size // 4, size // 4)
        self.labels = torch.randint(0, options.classes, (batch, *self.size))
        self.teacher = torch.randn(batch, options.classes, *self.size)

    def _enlarged(self, logits: Any) -> Any:
        return self.torch.nn.functional.interpolate(
            logits, size=self.size, mode="bilinear", align_corners=False
        )

    def train(self) -> None:
        """Runs one update."""
        functional = self.torch.nn.functional
        self.optimiser.zero_grad()
        logits, auxiliaries = self.decoder(self.taps)
        logits = self._enlarged(logits)
        loss = functional.cross_entropy(logits, self.labels, ignore_index=255)
        loss = loss + 0.3 * ((logits - self.teacher) ** 2).mean()
        for auxiliary in auxiliaries:
            term = functional.cross_entropy(
                self._enlarged(auxiliary), self.labels, ignore_index=255
            )
            loss = loss + 0.15 * term
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 3.0)
        self.optimiser.step()
        with self.torch.no_grad():
            for average, weights in zip(self.average, self.decoder.parameters(), strict=True):
                average.mul_(0.9).add_(weights, alpha=0.1)

    def evaluate(self) -> None:
        """Runs one prediction."""
        with self.torch.no_grad():
            self._enlarged(self.decoder(self.taps)[0]).argmax(1)


def refuse(line: str) -> NoReturn:
    """Exits with one line on standard error."""
    print(line, file=sys.stderr)
    sys.exit(2)


def shortest(work: Any, times: int) -> float:
    """Returns the seconds of the fastest call, after one that is not counted."""
    work()
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Times every genotype."""
    options = parsed()
    source = options.checkout / "src"
    if not (source / "nn" / "micro_decoders.py").exists():
        refuse(f"{options.checkout} is not a checkout of nas-segm-pytorch")
    sys.path.insert(0, str(source))
    try:
        import torch
        from nn.micro_decoders import MicroDecoder
    except ImportError as error:
        refuse(f"{sys.executable} has no PyTorch that works ({error})")

    torch.set_num_threads(options.threads)
    for line in options.genotypes.read_text().splitlines():
        connections, cell = json.loads(line)
        decoder = MicroDecoder(
            list(CHANNELS),
            options.classes,
            [cell, connections],
            agg_size=options.width,
            aux_cell=True,
            repeats=1,
        )
        step = Step(torch, decoder.train(), options)
        trained = shortest(step.train, options.steps)
        decoder.eval()
        record = {
            "genotype": line,
            "layout": options.layout,
            "torch": torch.__version__,
            "step": round(trained, 4),
            "evaluate": round(shortest(step.evaluate, options.steps), 4),
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
