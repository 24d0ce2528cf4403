"""An identity of networks that is independent of genotypes: refined colours of their graphs."""

import hashlib
import re
from collections import defaultdict

from nas_tf import networks
from nas_tf.genotype import Genotype

_UNORDERED = ("add", "concat")
_CHAIN = re.compile(r"\.sum\d+$")


def fingerprint(genotype: Genotype) -> str:
    """Returns a hash that is equal for isomorphic live networks."""
    settings = networks.Settings(width=8, sep_repeats=1, auxiliary="none")
    blueprint = networks.blueprint_of(
        genotype, 2, input_size=(64, 64), settings=settings
    ).deployed()
    layers = [layer for layer in blueprint.layers if layer.part == "decoder"]
    terms = {layer.name: _terms(blueprint, layer) for layer in layers}
    compared = [layer for layer in layers if not _inside_chain(blueprint, layer)]
    colour = {
        layer.name: repr((layer.kind, layer.channels, layer.size, sorted(layer.options.items())))
        for layer in compared
    }
    readers = defaultdict(list)
    for layer in compared:
        for place, source in enumerate(terms[layer.name]):
            readers[source].append((layer.name, 0 if layer.kind in _UNORDERED else place))
    for _ in range(12):
        colour = {
            layer.name: _hash(
                (
                    colour[layer.name],
                    _sources(layer.kind, [colour.get(s, s) for s in terms[layer.name]]),
                    sorted((colour[name], place) for name, place in readers[layer.name]),
                )
            )
            for layer in compared
        }
    return _hash(sorted(colour.values()))


def _sources(kind: str, colours: list[str]) -> list[str]:
    return sorted(colours) if kind in _UNORDERED else colours


def _terms(blueprint: networks.Blueprint, layer: networks.Layer) -> list[str]:
    """Returns the inputs of a layer; the chain that sums the loose ends of a cell is one sum."""
    if layer.kind == "zero":
        return []
    if layer.kind != "add":
        return list(layer.inputs[:1] if layer.kind == "resize" else layer.inputs)
    found = []
    for name in layer.inputs:
        chained = _CHAIN.search(name) and _CHAIN.search(layer.name)
        found += _terms(blueprint, blueprint.by_name[name]) if chained else [name]
    return found


def _inside_chain(blueprint: networks.Blueprint, layer: networks.Layer) -> bool:
    if not _CHAIN.search(layer.name):
        return False
    return any(_CHAIN.search(o.name) and layer.name in o.inputs for o in blueprint.layers)


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
