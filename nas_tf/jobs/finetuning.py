"""Training of a trained network on another task, or on another data set."""

import json
from collections.abc import Sequence
from pathlib import Path

from nas_tf import spaces
from nas_tf.config.load import load, load_saved
from nas_tf.config.schema import TASK_KEYS, Config
from nas_tf.errors import ConfigError
from nas_tf.genotype import Genotype
from nas_tf.jobs.trained import read_genotype, read_result
from nas_tf.networks.settings import CONFIGURED
from nas_tf.tasks import TASKS
from nas_tf.training.from_config import settings_for
from nas_tf.training.full_run import BEST, CONFIG, GENOTYPE, LAST, RESULT, Start, start_from


def prepare(
    run: Path, task: str, config_name: str, overrides: Sequence[str] = ()
) -> tuple[Config, Genotype, Start]:
    """Returns what ``FullRun`` trains: a configuration, the run's genotype, and its weights.

    The width and the encoder are those of the run, and so are all weights but those of the heads.
    """
    if task not in TASKS:
        raise ConfigError(f"--task is {task}, expected one of {', '.join(TASKS)}")
    if not (run / GENOTYPE).exists():
        raise ConfigError(f"{run} holds no {GENOTYPE}, expected a folder that nas-tf train wrote")
    genotype, target = read_genotype(run / GENOTYPE), TASKS[task].target.key
    foreign = (key for other, keys in TASK_KEYS.items() if other != target for key in keys)
    own = [f"data.target={target}", *_network(run, genotype)]
    own += (f"task.{key}=null" for key in foreign)
    config = load(config_name, (*own, *overrides))
    weights = next((run / name for name in (LAST, BEST) if (run / name).exists()), None)
    if weights is None:
        raise ConfigError(f"{run} has no {LAST} or {BEST} yet, expected a trained network")
    return config, genotype, start_from(weights)


def _network(run: Path, genotype: Genotype) -> list[str]:
    """Returns the overrides that build the network of ``run``, which its weights fit.

    The weights contain the encoder's, so ``network.weights`` is null.
    """
    path, result = run / CONFIG, run / RESULT
    if not path.exists():
        return [f"space={json.dumps(spaces.space_of(genotype).section())}"]
    config, recorded = load_saved(path), read_result(result) if result.exists() else {}
    own = settings_for(config, recorded.get("phase", "published"))
    known = spaces.get(config.space).network_settings
    keys = [key for key in CONFIGURED if key in known and key != "auxiliary"]
    network = [f"network.{key}={json.dumps(getattr(own, key))}" for key in keys]
    network += [f"network.{key}={getattr(config.network, key)}" for key in ("encoder", "alpha")]
    return [f"space={json.dumps(config.space)}", "network.weights=null", *network]
