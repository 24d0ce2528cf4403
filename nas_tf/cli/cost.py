"""``nas-tf cost``: counts the costs of many genotypes, reading and writing JSON lines."""

import json
from collections.abc import Callable
from typing import IO, Any

import click

from nas_tf import networks, spaces
from nas_tf.cli import options
from nas_tf.errors import ConfigError, NasTfError
from nas_tf.networks import encoders
from nas_tf.networks.blueprint import counted_as
from nas_tf.networks.from_genotype import checked_size

_CHOICES = ("width", "head_width", "sep_repeats", "aspp", "decoder", "output_stride")
_OUTPUTS = ("num_classes", "channels")
_KEYS = ("genotype", *_CHOICES, "encoder", "backbone", *_OUTPUTS, "preset", "input")


@click.command("cost")
@click.option("--space", type=options.SpaceType(), required=True, help="Search space.")
@options.ROWS
def command(space: spaces.SearchSpace, rows: IO[str]) -> None:
    """Count the parameters and multiply-adds of many genotypes.

    Reads a JSON object per line: genotype in the paper's notation, and optionally width,
    head_width, sep_repeats, encoder (or backbone, without biases, as detectors have it),
    num_classes and input [height, width]; for dpc also decoder and output_stride; for restoration
    also preset, aspp and channels.
    The defaults are the published settings.
    Writes a JSON object per line: the counts, or an error.

    \b
    nas-tf cost --space auxcell --file rows.jsonl
    nas-tf cost --space '{name: auxcell, blocks: 4}' --file rows.jsonl
    """
    answer_rows(rows, lambda row: _counts(space, row))


def answer_rows(rows: IO[str], answer: Callable[[Any], dict[str, Any]]) -> None:
    """Prints the answer to each row of a file of JSON lines, or an error, as a JSON line."""
    for row in rows:
        if not row.strip():
            continue
        try:
            result = answer(json.loads(row))
        except (json.JSONDecodeError, RecursionError) as error:
            result = {"error": f"not JSON: {error}"}
        except NasTfError as error:
            result = {"error": str(error)}
        click.echo(json.dumps(result, ensure_ascii=False))


def _counts(space: spaces.SearchSpace, row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or "genotype" not in row:
        raise ConfigError(f'row {row!r} has no genotype, expected {{"genotype": …}}')
    unknown = sorted(set(row) - set(_KEYS))
    if unknown:
        raise ConfigError(f"key {unknown[0]!r} is unknown, expected {', '.join(_KEYS)}")
    given = row["genotype"]
    space = _space_of(space, row)
    genotype = spaces.resolve(given, space) if isinstance(given, str) else space.parse(given)
    if space.refusal(genotype) is not None:
        return {"valid": False, "reason": space.refusal(genotype)}
    published = spaces.example(space)
    chosen = {key: row[key] for key in _CHOICES if row.get(key) is not None}
    if row.get("encoder") is not None:
        chosen["encoder"] = encoders.get(row["encoder"])
    if row.get("backbone") is not None:
        chosen["encoder"] = encoders.without_biases(row["backbone"])
    blueprint = networks.blueprint_of(
        genotype,
        _outputs(row, published.num_classes),
        input_size=checked_size(row.get("input"), "input") or published.input_size,
        settings=networks.settings.published(space.name, **chosen),
    )
    builder = networks.settings.builder_of(space.name)
    if builder.counts is not None:
        return {"valid": True, **builder.counts(blueprint)}
    part_of = builder.part_of
    parts = {"encoder": (0, 0), "decoder": (0, 0), "aux": (0, 0)} if part_of is counted_as else {}
    parts |= networks.cost_by_part(blueprint, part_of)
    shipped = networks.cost(blueprint.deployed())
    sizes = {name.partition(".")[0]: blueprint.output(name).size for name in blueprint.outputs}
    first, *others = map(list, sizes.values())
    return {
        "valid": True,
        **{f"params_{part}": params for part, (params, _) in parts.items()},
        **{f"madds_{part}": madds for part, (_, madds) in parts.items()},
        **({"outputs": [first, *others]} if others else {"output": first}),
        "deployed": {"params": shipped.params, "madds": shipped.madds},
    }


def _space_of(space: spaces.SearchSpace, row: dict[str, Any]) -> spaces.SearchSpace:
    """Returns the space with the preset of a row, and with as many layers and nodes."""
    shown = {} if isinstance(row["genotype"], str) else space.arguments_of(row["genotype"]) or {}
    changes = {key: shown[key] for key in ("layers", "nodes") if key in shown}
    if row.get("preset") is not None:
        changes["preset"] = row["preset"]
    return spaces.get({"name": space.name, **space.arguments, **changes}) if changes else space


def _outputs(row: dict[str, Any], usual: int) -> int:
    """Returns the number of classes, or of an image's channels."""
    given = [key for key in _OUTPUTS if key in row]
    value = row[given[0]] if given else usual
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{given[0]} is {value!r}, expected an integer of 1 or more")
    return value
