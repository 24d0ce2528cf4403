"""Computes statistics of scores: rank correlation, and tests of one run against another."""

from collections.abc import Sequence
from dataclasses import dataclass

LEAST = 4
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Correlation:
    """Spearman's rank correlation with its 95 % interval."""

    rho: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"ρ = {self.rho:.2f} (95 % {self.low:.2f} to {self.high:.2f}, n = {self.count})"


def spearman(first: Sequence[float], second: Sequence[float]) -> Correlation | None:
    """Returns the correlation, with a bootstrap interval; None if there are too few values."""
    import numpy as np
    from scipy.stats import rankdata

    a, b = np.asarray(first, float), np.asarray(second, float)
    if len(a) < LEAST or not np.ptp(a) or not np.ptp(b):
        return None
    rows = np.random.default_rng(0).integers(len(a), size=(_RESAMPLES, len(a)))
    ranks = [rankdata(values[rows], axis=1) for values in (a, b)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=1) * (centred[1] ** 2).sum(axis=1))
    resampled = (centred[0] * centred[1]).sum(axis=1)[scale > 0] / scale[scale > 0]
    low, high = np.percentile(resampled, [2.5, 97.5])
    rho = float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
    return Correlation(rho, float(low), float(high), len(a))


@dataclass(frozen=True, slots=True)
class Contest:
    """The result of comparing one set of scores, or rewards, with another.

    ``superiority`` is the probability that one of the first exceeds one of the second; ``p``
    is the p-value of the two-sided Mann-Whitney test.
    """

    superiority: float
    p: float

    def __str__(self) -> str:
        return f"wins {self.superiority:.0%} of pairs, {format_p(self.p)}"


def contest(first: Sequence[float], second: Sequence[float]) -> Contest | None:
    """Tests whether the first are higher; returns None if there are too few."""
    from scipy.stats import mannwhitneyu

    if min(len(first), len(second)) < LEAST:
        return None
    test = mannwhitneyu(first, second, alternative="two-sided")
    return Contest(float(test.statistic) / (len(first) * len(second)), float(test.pvalue))


@dataclass(frozen=True, slots=True)
class Interval:
    """A difference of means with Welch's 95 % interval, which needs two values of each."""

    difference: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.difference:+.4f}"
        return f"{self.difference:+.4f} (95 % {self.low:+.4f} to {self.high:+.4f})"


def mean_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Returns the mean of the first minus that of the second, with an interval if there is one."""
    import numpy as np
    from scipy.stats import ttest_ind

    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2 or not max(np.ptp(first), np.ptp(second)):
        return Interval(difference)
    low, high = ttest_ind(first, second, equal_var=False).confidence_interval()
    return Interval(difference, float(low), float(high))


@dataclass(frozen=True, slots=True)
class Pairing:
    """Paired scores of the same genotypes: their mean difference, and Wilcoxon's p-value."""

    difference: float
    p: float
    count: int

    def __str__(self) -> str:
        form = "+.4f" if abs(self.difference) >= 0.0001 else "+.3g"
        return f"{self.difference:{form}} over {self.count} pairs, {format_p(self.p)}"


def paired(first: Sequence[float], second: Sequence[float]) -> Pairing | None:
    """Tests whether paired scores differ; returns None if there are too few, or none differs."""
    import numpy as np
    from scipy.stats import wilcoxon

    differences = np.subtract(first, second)
    if len(differences) < LEAST or not np.any(differences):
        return None
    mean = float(np.mean(differences))
    return Pairing(mean, float(wilcoxon(differences).pvalue), len(differences))


def format_p(p: float) -> str:
    """Formats a p-value."""
    return f"p = {p:.3f}" if p >= 0.001 else f"p = {p:.0e}"
