"""Times the layers of a blueprint in PyTorch, forward and with gradients, on one thread.

    PYTHON benchmarks/torch_network.py LAYERS.json [--batch 8] [--layout channels_last]

Other benchmarks call it with a Python that has PyTorch, and torchvision for deformable
convolutions. LAYERS.json has the fields of each layer of a blueprint. Prints, as JSON, the
processor seconds of the fastest calls.
"""

import argparse
import json
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LAYOUTS = ("contiguous", "channels_last")
CALLS = 5


class TorchNetwork:
    """The layers of a network in PyTorch; layers with the same arrays are one module.

    Args:
        torch: The module of PyTorch.
        layers: The fields of each layer of a blueprint.
    """

    def __init__(self, torch: Any, layers: list[dict[str, Any]]) -> None:
        self.torch, self.layers = torch, layers
        self.modules = torch.nn.ModuleDict()
        channels: dict[str, int] = {}
        for layer in layers:
            channels[layer["name"]] = layer["channels"]
            key = _key(layer)
            if key not in self.modules:
                read = channels[layer["inputs"][0]] if layer["inputs"] else 0
                module = self._module(layer, read)
                if module is not None:
                    self.modules[key] = module

    def _module(self, layer: dict[str, Any], read: int) -> Any:
        nn, options, kind = self.torch.nn, layer["options"], layer["kind"]
        if kind in ("conv", "depthwise"):
            kernel, rate = options["kernel"], options["rate"]
            is_valid = options.get("padding") == "valid"
            return nn.Conv2d(
                read,
                layer["channels"],
                tuple(kernel),
                options["stride"],
                0 if is_valid else [(k - 1) * r // 2 for k, r in zip(kernel, rate, strict=True)],
                tuple(rate),
                read if kind == "depthwise" else options.get("groups", 1),
                bool(options.get("bias")),
            )
        if kind == "deformable":
            return nn.Conv2d(read, layer["channels"], 3)
        if kind == "batch_norm":
            return nn.BatchNorm2d(read, options["epsilon"], affine=options.get("affine", True))
        if kind == "group_norm":
            return nn.GroupNorm(options["groups"], read, options["epsilon"])
        if kind in ("scale", "table"):
            single = (1, 1 if options.get("scalar") else read, 1, 1)
            shape = single if kind == "scale" else (options["rows"], layer["channels"])
            return nn.ParameterList([self.torch.ones(*shape)])
        return None

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Returns the outputs of the network."""
        found: dict[str, Any] = {}
        for layer in self.layers:
            read = [found[name] for name in layer["inputs"]]
            is_input = layer["kind"] == "input"
            found[layer["name"]] = (
                inputs[layer["name"]] if is_input else self._computed(layer, read)
            )
        return [found[layer["name"]] for layer in self.layers if layer["kind"] == "output"]

    def _computed(self, layer: dict[str, Any], read: list[Any]) -> Any:
        """Returns what a layer computes of what it reads."""
        own = getattr(self, f"_{layer['kind']}", None)
        return self.modules[_key(layer)](read[0]) if own is None else own(layer, read)

    def _deformable(self, layer: dict[str, Any], read: list[Any]) -> Any:
        from torchvision.ops import deform_conv2d

        groups, module = layer["options"]["groups"], self.modules[_key(layer)]
        offsets, mask = read[1].split((18 * groups, 9 * groups), 1)
        given = (read[0], offsets, module.weight, module.bias)
        return deform_conv2d(*given, padding=1, mask=mask.sigmoid())

    def _scale(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return read[0] * self.modules[_key(layer)][0]

    def _table(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return self.modules[_key(layer)][0]

    def _mix(self, layer: dict[str, Any], read: list[Any]) -> Any:
        table, entries = read[0], layer["options"]["entries"]
        if masked := layer["options"].get("masked"):
            hidden = self.torch.zeros_like(table, dtype=self.torch.bool)
            hidden[tuple(self.torch.tensor(masked).T)] = True
            table = table.masked_fill(hidden, float("-inf"))
        shares = table.softmax(-1)
        return sum(shares[a, b] * x for (a, b), x in zip(entries, read[1:], strict=True))

    def _relu(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return self.torch.nn.functional.relu(read[0])

    def _leaky_relu(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return self.torch.nn.functional.leaky_relu(read[0], layer["options"]["slope"])

    def _luma(self, layer: dict[str, Any], read: list[Any]) -> Any:
        factors = self.torch.tensor((0.299, 0.587, 0.114)).reshape(1, 3, 1, 1)
        return (read[0] * factors).sum(1, keepdim=True)

    def _normalise(self, layer: dict[str, Any], read: list[Any]) -> Any:
        mean, deviation = (
            self.torch.tensor(layer["options"][name]).reshape(1, -1, 1, 1)
            for name in ("mean", "deviation")
        )
        return (read[0] - mean) / deviation

    def _add(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return sum(read[1:], read[0])

    def _subtract(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return read[0] - read[1]

    def _concat(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return self.torch.cat(read, 1)

    def _exp(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return read[0].exp()

    def _sigmoid(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return read[0].sigmoid()

    def _pad(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return self.torch.nn.functional.pad(read[0], [layer["options"]["border"]] * 4)

    def _resize(self, layer: dict[str, Any], read: list[Any]) -> Any:
        size, interpolate = tuple(layer["size"]), self.torch.nn.functional.interpolate
        return interpolate(read[0], size, mode="bilinear", align_corners=False)

    def _output(self, layer: dict[str, Any], read: list[Any]) -> Any:
        return read[0]


def _key(layer: dict[str, Any]) -> str:
    return (layer["owner"] or layer["name"]).replace(".", "_")


def calls(
    torch: Any, layers: list[dict[str, Any]], batch: int, layout: str
) -> dict[str, Callable[[], Any]]:
    """Returns calls of a network on random inputs: ``forward``, and ``both`` with gradients."""
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    network = TorchNetwork(torch, layers)
    network.modules.to(memory_format=form)
    rng = np.random.default_rng(0)
    inputs = {
        layer["name"]: torch.tensor(
            rng.random((batch, layer["channels"], *layer["size"]), np.float32)
        ).to(memory_format=form)
        for layer in layers
        if layer["kind"] == "input"
    }

    def forward() -> Any:
        network.modules.eval()
        with torch.no_grad():
            return network(inputs)

    def both() -> Any:
        network.modules.train()
        network.modules.zero_grad()
        sum(y.mean() for y in network(inputs)).backward()

    return {"forward": forward, "both": both}


def fastest(work: Callable[[], Any]) -> float:
    """Returns the processor seconds of the fastest call, after one that is not counted."""
    work()
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=CALLS))


def main() -> None:
    """Prints the seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("layers", type=Path)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--layout", choices=LAYOUTS, default=LAYOUTS[0])
    parser.add_argument("--only", choices=("forward", "both"))
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    layers = json.loads(options.layers.read_text(encoding="utf-8"))
    wanted = calls(torch, layers, options.batch, options.layout)
    print(
        json.dumps(
            {name: fastest(call) for name, call in wanted.items() if options.only in (None, name)}
        )
    )


if __name__ == "__main__":
    main()
