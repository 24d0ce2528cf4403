"""A run's folder as a search leaves it, written by hand: no network is trained for it."""

import json
import random
from pathlib import Path

from nas_tf import files, spaces
from nas_tf.runs import Run, Stage, TrialRecord, filenames
from nas_tf.runs.record import SCHEMA
from nas_tf.runs.trial_store import TrialStore


def trial(number: int, rewards: tuple[float, ...], **more: object) -> TrialRecord:
    """A trial that ended in its minute."""
    genotype = spaces.get("auxcell").sample(random.Random(number))
    plain = {
        "trial": f"{number:02d}",
        "space": "auxcell",
        "genotype": str(genotype),
        "status": "completed",
        "reward": rewards[-1] if rewards else 0.0,
        "score": rewards[-1] if rewards else 0.0,
        "stages": tuple(
            Stage(
                score=reward, metrics={"mean_iou": reward / 2}, losses=(1.0,), steps=1, seconds={}
            )
            for reward in rewards
        ),
        "params": 1000 + number,
        "madds": 2000 + number,
        "seconds": 30.0,
        "worker": "tuner0",
        "started": f"2026-01-02T03:{number:02d}:00.000+00:00",
        "ended": f"2026-01-02T03:{number:02d}:30.000+00:00",
    }
    return TrialRecord(**{**plain, **more})


def run(folder: Path, trials: list[TrialRecord], **about: object) -> Run:
    """The folder of a run with these trials."""
    content = {
        "schema": SCHEMA,
        "nas_tf": "0.1",
        "space": "auxcell",
        "data": "shapes",
        "oracle": "PPOOracle",
        "max_trials": 9,
        "seed": 1,
        "created": "2026-01-02T03:00:00.000+00:00",
        **about,
    }
    files.write(folder / filenames.RUN, json.dumps(content))
    store = TrialStore(folder)
    for item in trials:
        store.add(item)
    return Run(folder)
