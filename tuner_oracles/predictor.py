"""Predicts rewards from those of all trials, and proposes the vectors that promise most.

The predictor is a Gaussian process on the ranks of rewards, whose kernel decays with the number
of tokens that differ. Ranks let a network that collapses weigh no more than any other bad one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg, special, stats
from threadpoolctl import ThreadpoolController

from tuner_oracles.durable import DurableOracle
from tuner_oracles.searcher import Proposal, Searcher, Vector

SCALES = (4.0, 8.0, 16.0)
"""The numbers of differing tokens among which that is chosen over which the kernel decays."""
NOISES = (0.05, 0.2, 0.6)
"""The variances of noise, relative to that of rewards, among which one is chosen."""
_REFIT_EVERY = 8
_MOST_FITTED = 256
_MOST_REMEMBERED = 400
_JITTER = 1e-6
_STEPS = (1, 1, 2, 3)
"""The numbers of tokens that are changed in a parent, each as likely as it is often here."""
_CLIMBING, _CLIMBED = 4, 40
_ATTEMPTS = 6


class Forecast(NamedTuple):
    """The predicted reward of a vector, half the width of its interval, and a random draw."""

    vector: Vector
    reward: float
    spread: float
    drawn: float


@dataclass(frozen=True)
class PredictorSettings:
    """The settings of a guided search.

    - ``guided_from``: the number of results from which the predictor chooses.
    - ``candidates``: the number of fresh samples among which it chooses.
    - ``neighbours``: the number of further candidates that differ in one to three tokens from one
      of the ``parents`` most promising vectors that were tried, or of 5 % of all if that is more.
    - ``climbs``: the number of times that the best candidates are replaced by what is best among
      them and others that differ from them in a token.
    - ``temperature``: 0 takes the candidate of the best prediction, 1 that of the best draw from
      the predictor's uncertainty.
    """

    guided_from: int = 12
    candidates: int = 24
    neighbours: int = 48
    parents: int = 6
    climbs: int = 2
    temperature: float = 0.3

    def __post_init__(self) -> None:
        for name in ("guided_from", "candidates", "parents"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected an integer of 1 or more")
        for name in ("neighbours", "climbs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ValueError(f"{name} is {value!r}, expected an integer")
        for name in ("neighbours", "climbs", "temperature"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 or more")


class Predictor:
    """A Gaussian process over token vectors, from the results of a search.

    It depends on the results and their order alone, so that a search which is resumed predicts as
    an undisturbed one does. Of more than 400 results, half are the best and half the latest.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._first = np.cumsum([0, *sizes[:-1]])
        self._symbols = sum(sizes)
        self._vectors: list[Vector] = []
        self._tried: set[Vector] = set()
        self.has_rewards = False
        self._rewards: list[float] = []
        self._chosen: tuple[int, tuple[float, float]] | None = None

    def __len__(self) -> int:
        """Returns the number of results."""
        return len(self._vectors)

    def __contains__(self, vector: Vector) -> bool:
        """Returns whether there is a result of a vector."""
        return vector in self._tried

    def add(self, vector: Vector, reward: float | None) -> None:
        """Adds a result; a failure, None, ranks below every reward."""
        self.has_rewards = self.has_rewards or reward is not None
        self._vectors.append(vector)
        self._tried.add(vector)
        self._rewards.append(-np.inf if reward is None else reward)
        self.__dict__.pop("_fitted", None)

    def best(self, count: int) -> list[Vector]:
        """Returns the vectors that were tried and promise most, best first."""
        fitted = self._fitted
        means = fitted.process.kernel @ fitted.process.weights
        return [fitted.vectors[index] for index in np.argsort(-means, kind="stable")[:count]]

    def forecasts(
        self, vectors: Sequence[Vector], rng: np.random.Generator, temperature: float
    ) -> list[Forecast]:
        """Returns the forecasts of vectors, those with the best draw first."""
        fitted, process = self._fitted, self._fitted.process
        own = self._one_hot(vectors)
        across = fitted.similar(fitted.one_hot, own)
        half = linalg.solve_triangular(process.factor, across, lower=True, check_finite=False)
        means = across.T @ process.weights
        covariance = fitted.similar(own, own) - half.T @ half
        spreads = np.sqrt(process.variance * np.maximum(np.diag(covariance), 0))
        covariance[np.diag_indices_from(covariance)] += _JITTER
        noise = np.linalg.cholesky(covariance) @ rng.standard_normal(len(vectors))
        drawn = means + temperature * np.sqrt(process.variance) * noise
        low, middle, high = (
            self._as_rewards(means + sign * spreads, fitted) for sign in (-1, 0, 1)
        )
        return [
            Forecast(vectors[index], middle[index], (high[index] - low[index]) / 2, drawn[index])
            for index in np.argsort(-drawn, kind="stable")
        ]

    def rewards(self, vectors: Sequence[Vector]) -> np.ndarray:
        """Returns the predicted rewards of vectors, in their order."""
        fitted = self._fitted
        across = fitted.similar(fitted.one_hot, self._one_hot(vectors))
        return self._as_rewards(across.T @ fitted.process.weights, fitted)

    @cached_property
    def _fitted(self) -> "_Fitted":
        """The process after the present results."""
        rows = self._remembered()
        vectors = [self._vectors[row] for row in rows]
        rewards = np.array([self._rewards[row] for row in rows])
        scores, one_hot = normal_scores(rewards), self._one_hot(vectors)
        scale, noise = self._hyperparameters()
        process = _Process.of(similarity(one_hot, one_hot, scale), scores, noise)
        return _Fitted(vectors, one_hot, rewards, scores, scale, process)

    def _remembered(self) -> list[int]:
        """Returns the rows of the results that count, in their order."""
        count, half = len(self), _MOST_REMEMBERED // 2
        if count <= _MOST_REMEMBERED:
            return list(range(count))
        older = np.array(self._rewards[: count - half])
        best = np.sort(np.argsort(-older, kind="stable")[:half])
        return [*best.tolist(), *range(count - half, count)]

    def _hyperparameters(self) -> tuple[float, float]:
        """Returns scale and noise of the largest likelihood, at every eighth result."""
        count = max(1, len(self) // _REFIT_EVERY * _REFIT_EVERY)
        if self._chosen is None or self._chosen[0] != count:
            first = max(0, count - _MOST_FITTED)
            vectors = self._vectors[first:count]
            rewards = np.array(self._rewards[first:count])
            scores, one_hot = normal_scores(rewards), self._one_hot(vectors)
            kernels = {scale: similarity(one_hot, one_hot, scale) for scale in SCALES}
            found = {
                (scale, noise): _Process.of(kernel, scores, noise).likelihood
                for scale, kernel in kernels.items()
                for noise in NOISES
            }
            self._chosen = count, max(found, key=found.__getitem__)
        return self._chosen[1]

    def _one_hot(self, vectors: Sequence[Vector]) -> np.ndarray:
        found = np.zeros((len(vectors), self._symbols), np.float32)
        found[np.arange(len(vectors))[:, None], np.asarray(vectors) + self._first] = 1
        return found

    @staticmethod
    def _as_rewards(scores: np.ndarray, fitted: "_Fitted") -> np.ndarray:
        """Returns the rewards that have these scores, between those that were seen."""
        seen = np.isfinite(fitted.rewards)
        order = np.argsort(fitted.scores[seen], kind="stable")
        return np.interp(scores, fitted.scores[seen][order], fitted.rewards[seen][order])


class _Process(NamedTuple):
    """A Gaussian process that was conditioned on scores.

    ``kernel`` is without noise, ``factor`` the triangular one of the matrix with it, ``variance``
    that of the process and ``likelihood`` its logarithm but for a constant.
    """

    kernel: np.ndarray
    factor: np.ndarray
    weights: np.ndarray
    variance: float
    likelihood: float

    @classmethod
    def of(cls, kernel: np.ndarray, scores: np.ndarray, noise: float) -> "_Process":
        """Conditions a process of this kernel on scores."""
        factor = np.linalg.cholesky(kernel + noise * np.eye(len(kernel)))
        weights = linalg.cho_solve((factor, True), scores, check_finite=False)
        variance = max(float(scores @ weights) / len(scores), _JITTER)
        likelihood = -len(scores) * np.log(variance) / 2 - np.log(np.diag(factor)).sum()
        return cls(kernel, factor, weights, variance, float(likelihood))


class _Fitted(NamedTuple):
    """A process with the results on which it was conditioned."""

    vectors: Sequence[Vector]
    one_hot: np.ndarray
    rewards: np.ndarray
    scores: np.ndarray
    scale: float
    process: _Process

    def similar(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Returns the kernel of each pair of vectors."""
        return similarity(first, second, self.scale)


def similarity(first: np.ndarray, second: np.ndarray, scale: float) -> np.ndarray:
    """Returns exp(−differing tokens / scale) for each pair of rows, which are one-hot."""
    equal = (first @ second.T).astype(np.float64)
    return np.exp((equal - first[:1].sum()) / scale)


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Returns the quantiles of the normal distribution at the ranks of values; ties share theirs.

    For example::

        assert normal_scores(np.array([0.5, 0.1, 0.9]))[0] == 0
    """
    return special.ndtri((stats.rankdata(values) - 0.5) / len(values))


class Guide:
    """Chooses among candidates by a predictor, for a searcher that gives it every result."""

    def __init__(self, settings: PredictorSettings, searcher: Searcher) -> None:
        self.settings = settings
        self.predictor = Predictor(searcher.sizes)
        self._searcher = searcher

    @property
    def is_ready(self) -> bool:
        """True if there are enough results to choose by, and not failures alone."""
        return len(self.predictor) >= self.settings.guided_from and self.predictor.has_rewards

    def chosen(self, number: int, samples: Sequence[Vector]) -> Forecast:
        """Returns the most promising of samples and neighbours that is worth a trial.

        One thread computes it: matrices this small take longer on several, most of all beside
        other processes, and it is the same to the bit on every number of cores.
        """
        with _thread_pools().limit(limits=1, user_api="blas"):
            return self._chosen(number, samples)

    def rewards(self, vectors: Sequence[Vector]) -> np.ndarray:
        """Returns the predicted rewards of vectors, computed by one thread as choices are."""
        with _thread_pools().limit(limits=1, user_api="blas"):
            return self.predictor.rewards(vectors)

    def _chosen(self, number: int, samples: Sequence[Vector]) -> Forecast:
        rng = self._searcher.rng(number, "neighbours")
        draw = np.random.default_rng([self._searcher.seed, 3, number])
        parents = self.predictor.best(max(self.settings.parents, len(self.predictor) // 20))
        near = self._near(parents, self.settings.neighbours, _STEPS, rng)
        ranked = self._ranked([*samples, *near], draw)
        is_worthwhile = cache(self._searcher.is_worthwhile)
        for _ in range(self.settings.climbs):
            worthwhile = (item.vector for item in ranked if is_worthwhile(item.vector))
            top = list(islice(worthwhile, _CLIMBING)) or [ranked[0].vector]
            ranked = self._ranked([*top, *self._near(top, _CLIMBED, (1,), rng)], draw)
        return next((item for item in ranked if is_worthwhile(item.vector)), ranked[0])

    def _ranked(self, candidates: Sequence[Vector], draw: np.random.Generator) -> list[Forecast]:
        """Returns forecasts of the candidates that are new, of all where none is, best first."""
        distinct = list(dict.fromkeys(candidates))
        new = [vector for vector in distinct if vector not in self.predictor]
        return self.predictor.forecasts(new or distinct, draw, self.settings.temperature)

    def _near(
        self, vectors: Sequence[Vector], count: int, steps: Sequence[int], rng: Any
    ) -> list[Vector]:
        """Returns neighbours of vectors; the more tokens apart, the more of them were tried."""
        found: list[Vector] = []
        for attempt in range(_ATTEMPTS * count):
            vector = rng.choice(vectors)
            for _ in range(rng.choice(steps) + attempt // (2 * count)):
                vector = self._searcher.mutate(vector, rng)
            if vector not in self.predictor:
                found.append(vector)
            if len(found) == count:
                break
        return found


@cache
def _thread_pools() -> ThreadpoolController:
    """Returns what limits the threads of linear algebra; to find it takes milliseconds."""
    return ThreadpoolController()


def forecast_record(forecast: Forecast) -> dict[str, Any]:
    """Returns a forecast as the ledger stores it with its proposal."""
    return {"predicted": [round(forecast.reward, 6), round(forecast.spread, 6)]}


class PredictorSearcher(Searcher):
    """Tries what promises most among uniform samples and neighbours of the most promising."""

    def __init__(self, config: PredictorSettings) -> None:
        self.config = config

    def start(self, tokens: Sequence[Any], seed: int) -> None:
        """Starts without results."""
        super().start(tokens, seed)
        self._guide = Guide(self.config, self)

    def settings(self) -> dict[str, Any]:
        """Returns all settings of the predictor."""
        return vars(self.config)

    def propose(self, number: int) -> Proposal:
        """Returns the most promising candidate; a uniform sample before there are results."""
        rng = self.rng(number)
        if not self._guide.is_ready or not self.sizes:
            return Proposal(self.uniform(rng))
        samples = [self.uniform(rng) for _ in range(self.config.candidates)]
        forecast = self._guide.chosen(number, samples)
        return Proposal(forecast.vector, forecast_record(forecast))

    def learn(self, proposal: Proposal, reward: float, *, known: bool = False) -> None:
        """Adds a result."""
        self._guide.predictor.add(proposal.tokens, reward)

    def learn_failure(self, proposal: Proposal) -> None:
        """Adds a result below all others."""
        self._guide.predictor.add(proposal.tokens, None)


class PredictorOracle(DurableOracle):
    """Proposes what a Gaussian process on the results predicts to be best, without a policy.

    Any field of ``PredictorSettings`` may be passed. Other arguments, and the promises on threads,
    processes and kills, are those of ``DurableOracle``::

        oracle = PredictorOracle("val_loss", max_trials=100, temperature=0.5)
    """

    def __init__(
        self, objective: Any = None, max_trials: int | None = None, **arguments: Any
    ) -> None:
        names = PredictorSettings.__dataclass_fields__
        own = {name: arguments.pop(name) for name in tuple(arguments) if name in names}
        searcher = PredictorSearcher(PredictorSettings(**own))
        super().__init__(searcher, objective, max_trials, **arguments)
