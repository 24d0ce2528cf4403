"""The trials of a run by their names, and their networks as the run counts them."""

from collections.abc import Mapping
from typing import Any

from nas_tf import networks, spaces
from nas_tf.errors import ConfigError
from nas_tf.networks import Blueprint, encoders
from nas_tf.networks.heads import Head
from nas_tf.runs import Run, TrialRecord, filenames
from nas_tf.sizes import Size


def find(run: Run, trial: str | None = None) -> TrialRecord:
    """Returns the trial with a number or identifier, or the best if none is given."""
    if trial is None:
        if best := run.best():
            return best[0]
        raise ConfigError(f"{run.folder} has no completed trial yet: {len(run.trials)} ended")
    for record in run.trials:
        if is_named(record, trial):
            return record
    names = [record.trial for record in run.trials]
    known = f"one of {names[0]} to {names[-1]}" if names else "none, since none has ended"
    raise ConfigError(f"trial is {trial!r}, expected {known}")


def is_named(record: TrialRecord, name: str) -> bool:
    """Returns whether a trial has a name, which may leave out leading zeros."""
    return record.trial == name or record.trial.lstrip("0") == name.lstrip("0")


def blueprint_of(
    run: Run,
    trial: TrialRecord,
    *,
    settings: Mapping[str, Any] | None = None,
    outputs: int | None = None,
    input_size: Size | None = None,
) -> Blueprint:
    """Builds the network as the run did to count its costs, except for what is given.

    Old runs record neither outputs nor input size; the paper's are taken for them.
    """
    genotype, info, given = trial.parsed, run.info, dict(settings or {})
    own = {
        key: run.settings[f"network.{key}"]
        for key in networks.settings.CONFIGURED
        if run.settings.get(f"network.{key}") is not None
    }
    try:
        if spaces.get(genotype.space).taps:
            name = run.settings.get("network.encoder", "mobilenet_v2")
            own["encoder"] = encoders.get(name, run.settings.get("network.alpha"))
        if info.outputs is not None and info.input is not None:
            head: Head | int = Head(info.task, info.outputs)
            size = info.input
        else:
            reference = spaces.example(spaces.space_of(genotype))
            head, size = reference.num_classes, reference.input_size
        return networks.blueprint_of(
            genotype,
            head if outputs is None else outputs,
            input_size=input_size or size,
            settings=networks.settings.search(genotype.space, **own | given),
        )
    except ConfigError as error:
        if given or outputs is not None or input_size is not None:
            raise
        raise ConfigError(
            f"trial {trial.trial} of {run.folder} can't be built: {error}; its {filenames.RUN} or "
            f"{filenames.CONFIG} is damaged"
        ) from error
