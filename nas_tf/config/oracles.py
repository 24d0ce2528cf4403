"""The arguments of each oracle, as a section ``search.oracle``; null is the oracle's own default.

The oracles themselves, which import TensorFlow, check what several arguments exclude together.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from nas_tf.config.section import Count, Named, NotNegative, Part, Positive


class OracleSection(Named):
    """The name of an oracle; a section of each oracle has its arguments."""


class PPO(OracleSection):
    """The fields of ``tuner_oracles.ppo.PPOSettings``, over those of ``search.preset``."""

    name: Literal["ppo"] = "ppo"
    units: Count | None = None
    layers: Count | None = None
    clip: Positive | None = None
    learning_rate: Positive | None = None
    entropy: NotNegative | None = None
    gradient_clip: Positive | None = None
    baseline_decay: Part | None = None
    scale_rewards: bool | None = None
    window: Count | None = None
    every: Count | None = None
    minibatch: Count | None = None
    passes: Count | None = None
    max_lag: Annotated[int, Meta(ge=0)] | None = None
    repeat_cost: NotNegative | None = None
    ranked: Annotated[int, Meta(ge=0)] | None = None
    guided_from: Annotated[int, Meta(ge=0)] | None = None
    candidates: Count | None = None
    neighbours: Annotated[int, Meta(ge=0)] | None = None
    parents: Count | None = None
    climbs: Annotated[int, Meta(ge=0)] | None = None
    temperature: NotNegative | None = None
    imagined: Annotated[int, Meta(ge=0)] | None = None


class Predictor(OracleSection):
    """The fields of ``tuner_oracles.predictor.PredictorSettings``."""

    name: Literal["predictor"] = "predictor"
    guided_from: Count | None = None
    candidates: Count | None = None
    neighbours: Annotated[int, Meta(ge=0)] | None = None
    parents: Count | None = None
    climbs: Annotated[int, Meta(ge=0)] | None = None
    temperature: NotNegative | None = None


class Evolution(OracleSection):
    """The arguments of ``tuner_oracles.EvolutionOracle``."""

    name: Literal["evolution"] = "evolution"
    population: Annotated[int, Meta(ge=2)] | None = None
    tournament: Count | None = None


class NearBest(OracleSection):
    """The arguments of ``tuner_oracles.NearBestOracle``."""

    name: Literal["near-best"] = "near-best"
    near: Annotated[float, Meta(ge=0, le=1)] | None = None
    top: Count | None = None


class Random(OracleSection):
    """Uniform random search, which has no arguments."""

    name: Literal["random"] = "random"


class Bayesian(OracleSection):
    """The arguments of KerasTuner's ``BayesianOptimizationOracle``."""

    name: Literal["bayesian"] = "bayesian"
    num_initial_points: Count | None = None
    alpha: Positive | None = None
    beta: NotNegative | None = None


class Hyperband(OracleSection):
    """The argument of KerasTuner's ``HyperbandOracle``."""

    name: Literal["hyperband"] = "hyperband"
    factor: Annotated[int, Meta(ge=2)] | None = None


class GradientSearch(OracleSection):
    """The search by gradient, whose settings are the section ``gradient``."""

    name: Literal["gradient"] = "gradient"


ORACLES: Mapping[str, type[OracleSection]] = {
    str(section.__struct_defaults__[0]): section
    for section in (
        *(PPO, Predictor, Evolution, NearBest, Random, Bayesian, Hyperband, GradientSearch),
    )
}
