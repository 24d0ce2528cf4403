"""``nas-tf finetune``: trains a trained network further, on another task or data set."""

import json
from pathlib import Path

import click

from nas_tf import spaces
from nas_tf.cli import options
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype


@click.command("finetune")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--task", required=True, help="The new task: segmentation, depth or pose.")
@options.CONFIG
@options.OVERRIDES
@click.option(
    "--out",
    type=options.OUT_FOLDER,
    help="Folder of the new run (default: RUN-TASK).",
)
def command(
    run: Path, task: str, config_name: str, overrides: tuple[str, ...], out: Path | None
) -> None:
    """Train the network of RUN, a folder that `nas-tf train` wrote, on another task.

    All weights are reused except those of the heads, whose number of outputs changes. The width
    and the encoder are those of the trained network, not those of the configuration.

    \b
    nas-tf finetune runs/camvid_auxcell-arch0 --task depth --config shapes_depth
    """
    from nas_tf import quiet

    quiet.load("tensorflow")
    from nas_tf.cli.train import run as train
    from nas_tf.config import load
    from nas_tf.config.schema import TASK_KEYS
    from nas_tf.tasks import TASKS

    if task not in TASKS:
        raise ConfigError(f"--task is {task}, expected one of {', '.join(TASKS)}")
    genotype = _genotype(run)
    target = TASKS[task].target.key
    foreign = (key for other, keys in TASK_KEYS.items() if other != target for key in keys)
    own = (f"data.target={target}", *_network(run, genotype))
    own += tuple(f"task.{key}=null" for key in foreign)
    config = load(config_name, (*own, *overrides))
    weights = next(
        (run / name for name in ("last.keras", "best.keras") if (run / name).exists()), None
    )
    if weights is None:
        raise ConfigError(f"{run} has no last.keras or best.keras yet, expected a trained network")

    from nas_tf.training.full_run import start_from

    folder = out or run.with_name(f"{run.name}-{task}")
    train(config, genotype, folder, title=f"training {task}", start=start_from(weights))


def _network(run: Path, genotype: Genotype) -> list[str]:
    """Returns the overrides that build the network of RUN, which its weights fit.

    The weights contain the encoder's, so ``network.weights`` is null.
    """
    from nas_tf.cli.trained import read_result
    from nas_tf.config.load import load_saved
    from nas_tf.training.from_config import settings_for

    path, result = run / "config.yaml", run / "result.json"
    if not path.exists():
        return [f"space={json.dumps(spaces.space_of(genotype).section())}"]
    config, recorded = load_saved(path), read_result(result) if result.exists() else {}
    own = settings_for(config, recorded.get("phase", "published"))
    known = spaces.get(config.space).network_settings
    keys = [*(key for key in ("width", "sep_repeats") if key in known), "alpha"]
    network = [f"network.{key}={getattr(own, key)}" for key in keys]
    return [f"space={json.dumps(config.space)}", "network.weights=null", *network]


def _genotype(run: Path) -> Genotype:
    try:
        return Genotype.from_json((run / "genotype.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{run} holds no genotype.json, expected a folder that nas-tf train wrote"
        ) from error
