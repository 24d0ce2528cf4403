"""Against scipy and values worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from nas_tf.runs import statistics


def correlated(rho: float, count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.normal(size=count)
    return first, rho * first + np.sqrt(1 - rho**2) * rng.normal(size=count)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.6, 0.99])
def test_spearman_is_scipys_and_within_its_interval(rho: float) -> None:
    first, second = correlated(rho, 60)
    found = statistics.spearman(first, second)
    assert found.rho == pytest.approx(stats.spearmanr(first, second).statistic)
    assert -1 <= found.low < found.rho < found.high <= 1
    assert found.count == 60


def test_spearman_ranks_ties_as_scipy_does() -> None:
    first, second = [1, 1, 2, 3, 3, 3, 4], [2, 1, 1, 4, 5, 5, 5]
    expected = stats.spearmanr(first, second).statistic
    assert statistics.spearman(first, second).rho == pytest.approx(expected)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Spearman's rho of a bivariate normal is 6/pi asin(r/2); 95 % of a hundred, give or take."""
    truth = 6 / np.pi * np.arcsin(0.6 / 2)
    found = [statistics.spearman(*correlated(0.6, 40, seed)) for seed in range(100)]
    assert 88 <= sum(item.low <= truth <= item.high for item in found) <= 99


@pytest.mark.parametrize(
    ("first", "second"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4]), ([], [])]
)
def test_too_little_is_no_correlation(first: list[float], second: list[float]) -> None:
    assert statistics.spearman(first, second) is None


def test_a_perfect_order_is_printed() -> None:
    found = statistics.spearman([1, 2, 3, 4, 5], [10, 20, 30, 40, 50])
    assert str(found) == "ρ = 1.00 (95 % 1.00 to 1.00, n = 5)"


def test_a_contest_counts_pairs_and_is_scipys_test() -> None:
    first, second = [3.0, 5.0, 7.0, 9.0], [1.0, 3.0, 4.0, 8.0, 2.0]
    wins = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    found = statistics.contest(first, second)
    assert found.superiority == pytest.approx(wins / 20)
    assert found.p == stats.mannwhitneyu(first, second).pvalue
    back = statistics.contest(second, first)
    assert back.superiority == pytest.approx(1 - found.superiority)
    assert back.p == pytest.approx(found.p)


def test_a_contest_of_few_is_none() -> None:
    assert statistics.contest([1, 2, 3], [1, 2, 3, 4]) is None


def test_pairs_see_what_the_spread_of_genotypes_hides() -> None:
    qualities = np.random.default_rng(2).normal(size=30)
    lifted = qualities + 0.05 + 0.01 * np.random.default_rng(3).normal(size=30)
    assert statistics.contest(lifted, qualities).p > 0.5
    found = statistics.paired(lifted, qualities)
    assert found.p == stats.wilcoxon(lifted - qualities).pvalue
    assert found.p < 1e-6
    assert found.difference == pytest.approx(np.mean(lifted - qualities))
    assert found.count == 30


@pytest.mark.parametrize("rewards", [[1.0, 2.0, 3.0], [1.0] * 10, []])
def test_no_pairs_or_no_difference_is_none(rewards: list[float]) -> None:
    assert statistics.paired(rewards, rewards) is None


@pytest.mark.parametrize(
    ("p", "text"), [(0.5, "p = 0.500"), (0.001, "p = 0.001"), (0.00042, "p = 4e-04")]
)
def test_a_p_as_it_is_written(p: float, text: str) -> None:
    assert statistics.format_p(p) == text
