"""How far two distributions lie apart, from their histograms: exact for histograms that were merged of parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NUM_GROUPS = 10
"""Of the reference, each of about a tenth of its values: the usual bins of the population stability index."""
PSI_MODERATE, PSI_LARGE = 0.1, 0.25
"""From which on a shift is called moderate, and large; the bounds that the index is used with."""
MAX_P_VALUE = 0.01
"""Of a shift that is no chance."""
KS_TERMS = 100

Level = Literal["none", "moderate", "large"]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far values lie from those of a reference."""

    num_reference: int
    num_found: int
    psi: float
    """Population stability index; 0 for equal distributions, without an upper end."""
    ks: float
    """Largest difference of the shares up to any bin's edge, 0 to 1: the distance of Kolmogorov and Smirnov but for the
    width of a bin."""
    p_value: float
    """How often two samples of one distribution would differ so much: by Kolmogorov and Smirnov, of classes by
    chi-squared."""
    js: float
    """Jensen-Shannon divergence in bits, 0 to 1."""

    @property
    def level(self) -> Level:
        """What to make of it: of few values a large index is chance, which is therefore asked, too."""
        if self.p_value > MAX_P_VALUE:
            return "none"
        if self.psi >= PSI_LARGE:
            return "large"
        return "moderate" if self.psi >= PSI_MODERATE else "none"


def drift_of(reference: Counts, found: Counts) -> Drift | None:
    """Compare two histograms with the same bins in the same order.

    Args:
        reference: (L,) counts.
        found: (L,) counts.

    Returns:
        None where one of them is empty.
    """
    if not reference.sum() or not found.sum():
        return None
    distance = ks_distance(reference, found)
    return Drift(
        num_reference=int(reference.sum()),
        num_found=int(found.sum()),
        psi=psi(*grouped(reference, found)),
        ks=distance,
        p_value=ks_p_value(distance, int(reference.sum()), int(found.sum())),
        js=js_divergence(reference, found),
    )


def drift_of_classes(reference: Counts, found: Counts) -> Drift | None:
    """Compare counts by class, which have no order: KS is the largest difference of one class's share."""
    if not reference.sum() or not found.sum():
        return None
    gap = float(np.abs(reference / reference.sum() - found / found.sum()).max())
    return Drift(
        num_reference=int(reference.sum()),
        num_found=int(found.sum()),
        psi=psi(reference, found),
        ks=gap,
        p_value=chi_squared_p_value(reference, found),
        js=js_divergence(reference, found),
    )


def grouped(reference: Counts, found: Counts) -> tuple[Counts, Counts]:
    """Both histograms with neighbouring bins joined, so that each group holds about a tenth of the reference."""
    before = np.concatenate([[0], np.cumsum(reference)[:-1]])
    groups = np.minimum(before * NUM_GROUPS // reference.sum(), NUM_GROUPS - 1)
    places = np.unique(groups, return_inverse=True)[1]
    size = int(places.max()) + 1
    joined = [np.zeros(size, np.int64) for _ in range(2)]
    for sums, counts in zip(joined, (reference, found), strict=True):
        np.add.at(sums, places, counts)
    return joined[0], joined[1]


def psi(reference: Counts, found: Counts) -> float:
    """The population stability index of (L,) counts; half a value is added to each bin, so that none is empty.

    Source: Siddiqi, Credit Risk Scorecards, 2006, chapter 8.
    """
    expected, actual = ((counts + 0.5) / (counts + 0.5).sum() for counts in (reference, found))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def ks_distance(reference: Counts, found: Counts) -> float:
    """The largest difference of the cumulated shares of (L,) counts."""
    shares = (np.cumsum(counts) / counts.sum() for counts in (reference, found))
    one, other = shares
    return float(np.abs(one - other).max())


def ks_p_value(distance: float, num_reference: int, num_found: int) -> float:
    """How often samples of one distribution differ so much, by the limit for many values.

    Source: Smirnov, Table for Estimating the Goodness of Fit of Empirical Distributions, Annals of Mathematical
    Statistics 19, 1948.
    """
    x = distance * math.sqrt(num_reference * num_found / (num_reference + num_found))
    if x < 0.2:  # where the series converges slowly and is 1 to twelve places
        return 1.0
    total = 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, KS_TERMS + 1))
    return min(1.0, max(0.0, total))


def chi_squared_p_value(reference: Counts, found: Counts) -> float:
    """How often two samples of the same (L,) shares differ so much, by Pearson's test."""
    seen = (reference + found) > 0
    degrees = int(seen.sum()) - 1
    if degrees < 1:
        return 1.0
    counts = np.stack([reference[seen], found[seen]]).astype(np.float64)  # (2, L)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
    return chi_squared_tail(float(((counts - expected) ** 2 / expected).sum()), degrees=degrees)


def chi_squared_tail(statistic: float, *, degrees: int) -> float:
    """The share of the chi-squared distribution from a value on, as the finite sum that it is of whole degrees.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.4.4 and 26.4.5.
    """
    half = statistic / 2
    if half <= 0:
        return 1.0
    is_odd = degrees % 2
    powers = (step + is_odd / 2 for step in range(degrees // 2))
    terms = math.fsum(math.exp(power * math.log(half) - half - math.lgamma(power + 1)) for power in powers)
    return min(1.0, terms + math.erfc(math.sqrt(half)) * is_odd)


def js_divergence(reference: Counts, found: Counts) -> float:
    """The Jensen-Shannon divergence of (L,) counts, in bits.

    Source: Lin, Divergence Measures Based on the Shannon Entropy, IEEE Transactions on Information Theory 37, 1991.
    """
    one, other = (counts / counts.sum() for counts in (reference, found))
    middle = (one + other) / 2
    return max(0.0, (bits_from(one, middle) + bits_from(other, middle)) / 2)


def bits_from(shares: NDArray[np.float64], middle: NDArray[np.float64]) -> float:
    """The Kullback-Leibler divergence in bits; what is never seen adds nothing."""
    seen = shares > 0
    return float((shares[seen] * np.log2(shares[seen] / middle[seen])).sum())
