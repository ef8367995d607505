"""Two arms by one metric: the difference, its interval, and what the days before take off its variance.

Every metric is R = sum(num) / sum(den) over an arm's users, a mean where den = 1. The delta method reads it as the mean
of L_i = R + (num_i - R den_i) / mean(den) (Deng, Knoblich and Lu, KDD 2018, arXiv 1803.06336), so that means and ratios
are one mechanism: users are independent, what one user does is not. CUPED (Deng et al., WSDM 2013) subtracts what the
days before explain: the regression of L on num_before, den_before and on having been there at all, the same for both
arms, with the coefficients that make the variance of the difference least. Users with no history have zeros there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import stats

from feedmill.core.errors import DataError
from feedmill.experiments.analysis.moments import Doubles, Moments, of_arms
from feedmill.metrics.rollup.units import Units

ALPHA = 0.05
FEW = 100  # users of an arm below which an interval is called rough: means of heavy tails are not yet normal
N_COVARIATES = 3
ROUNDING = 1e-8  # of a mean: a standard error below it is what sums leave where all users of an arm are alike


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """One arm against the control by one metric.

    ``value`` and ``value_control`` are as measured; ``difference`` and what follows it are after CUPED where
    ``is_adjusted``. ``relative`` is to the control, its interval Fieller's: None = the control may be 0.
    """

    arm: str
    control: str
    n: int
    n_control: int
    value: float
    value_control: float
    difference: float
    low: float
    high: float
    se: float
    p: float
    relative: float | None = None
    relative_low: float | None = None
    relative_high: float | None = None
    mean_control: float  # after CUPED; this and its standard error are what relative effects are made of
    se_control: float
    cut: float  # the share of the variance that CUPED takes off; <= 0 = none, and then it is not used
    is_adjusted: bool
    is_rough: bool  # an arm has fewer than 100 users


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """S comparisons; float64[S] each. ``mean``, ``mean_control`` are after CUPED, their variances are of the means."""

    mean: Doubles
    mean_control: Doubles
    variance: Doubles
    variance_control: Doubles
    df: Doubles
    cut: Doubles

    @property
    def difference(self) -> Doubles:
        return self.mean - self.mean_control

    @property
    def se(self) -> Doubles:
        out: Doubles = np.sqrt(self.variance + self.variance_control)
        return out

    def p(self) -> Doubles:
        """Two-sided, by Welch's t."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out: Doubles = 2 * stats.t.sf(abs(self.difference) / self.se, self.df)
        return out


def differences(treated: Moments, control: Moments, cuped: bool = True) -> Differences:
    """Compare group by group. NaN where a group has fewer than two users, or no den.

    Args:
        cuped: adjust where that cuts the variance, comparison by comparison. Which depends on variances alone, never
            on the difference, so that it costs no false positive.
    """
    sides = [_linear(treated), _linear(control)]
    ratio, variance, shared, own = (np.stack(x) for x in zip(*sides, strict=True))  # [2, S, …]
    n = np.stack([treated.n, control.n])
    plain = _Sides(ratio, variance / n, n)
    if not cuped:
        return plain.differences(np.zeros(len(treated.n)))
    theta = _theta((own / n[..., None, None]).sum(axis=0), (shared / n[..., None]).sum(axis=0))
    before = np.stack([treated.mean[:, 2:], control.mean[:, 2:]])
    shift = before - (before * n[..., None]).sum(axis=0) / n.sum(axis=0)[:, None]
    left = variance - 2 * (shared * theta).sum(axis=-1) + np.einsum("si,asij,sj->as", theta, own, theta)
    # Coefficients fitted on the same users make residuals look smaller than they are, and err themselves by as much
    # again; where one arm is small, they are fitted on its users mostly, which Welch's degrees of freedom say.
    df = _Sides(ratio, np.maximum(left, 0) / n, n).df
    left = np.maximum(left, 0) * (df / np.maximum(df - N_COVARIATES, 1)) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        cut = 1 - (left / n).sum(axis=0) / plain.variance.sum(axis=0)
    use = cut > 0
    moved = np.where(use, ratio - (shift * theta).sum(axis=-1), ratio)
    return _Sides(moved, np.where(use, left, variance) / n, n).differences(cut)


def effect(units: Units, arm: str, control: str, alpha: float = ALPHA, cuped: bool = True) -> Effect:
    """One arm against the control.

    Raises:
        DataError: an arm that is not there, has fewer than two users or nothing to divide by, or users all alike.
    """
    for name in (arm, control):
        if name not in units.arms:
            raise DataError(f'no arm "{name}"', f"one of {list(units.arms)}")
    moments = of_arms(units)
    return of_moments(moments[units.arms.index(arm)], moments[units.arms.index(control)], arm, control, alpha, cuped)


def of_moments(
    treated: Moments, control: Moments, arm: str, name: str, alpha: float = ALPHA, cuped: bool = True
) -> Effect:
    """The same from moments of one group each."""
    for of, moments in ((arm, treated), (name, control)):
        if moments.n[0] < 2:
            raise DataError(f'{moments.n[0]:.0f} users of arm "{of}"', "two at least", "wait for more exposures")
        if not moments.mean[0, 1] > 0:
            raise DataError(f'no data of arm "{of}" to divide by', "a denominator above 0", "wait for more events")
    found = differences(treated, control, cuped)
    se, difference = float(found.se[0]), float(found.difference[0])
    if not se > ROUNDING * max(abs(m) for m in (*found.mean, *found.mean_control)):
        raise DataError("all users alike", "users who differ", "there is no variance to judge a difference by")
    width = float(stats.t.isf(alpha / 2, found.df[0]))
    value, value_control = (float(m.mean[0, 0] / m.mean[0, 1]) for m in (treated, control))
    n, n_control = int(treated.n[0]), int(control.n[0])
    out = Effect(
        arm=arm,
        control=name,
        n=n,
        n_control=n_control,
        value=value,
        value_control=value_control,
        difference=difference,
        low=difference - width * se,
        high=difference + width * se,
        se=se,
        p=float(found.p()[0]),
        mean_control=float(found.mean_control[0]),
        se_control=float(np.sqrt(found.variance_control[0])),
        cut=float(found.cut[0]),
        is_adjusted=bool(found.cut[0] > 0),
        is_rough=min(n, n_control) < FEW,
    )
    low, high = fieller(out, width)
    relative = None if low is None else difference / out.mean_control
    return msgspec.structs.replace(out, relative=relative, relative_low=low, relative_high=high)


def fieller(x: Effect, width: float) -> tuple[float | None, float | None]:
    """The interval of the relative effect, of so many standard errors. Fieller 1954; Franz 2007, arXiv 0710.2024.

    It holds the ratios r for which the arm's mean less r times the control's could be 0, so that it contains no effect
    exactly when the interval of the difference does. None twice where the control is not told apart from 0.
    """
    c, var_c = x.mean_control, x.se_control**2
    t, var_t = c + x.difference, max(x.se**2 - var_c, 0.0)
    a = c * c - width**2 * var_c
    if a <= 0:
        return None, None
    root = math.sqrt(max((t * c) ** 2 - a * (t * t - width**2 * var_t), 0.0))
    return (t * c - root) / a - 1, (t * c + root) / a - 1


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Both groups of S comparisons, float64[2, S]: means, the variances of these means, users."""

    mean: Doubles
    variance: Doubles
    n: Doubles

    @property
    def df(self) -> Doubles:
        """Welch and Satterthwaite's."""
        with np.errstate(divide="ignore", invalid="ignore"):
            out: Doubles = self.variance.sum(axis=0) ** 2 / (self.variance**2 / (self.n - 1)).sum(axis=0)
        return out

    def differences(self, cut: Doubles) -> Differences:
        return Differences(self.mean[0], self.mean[1], self.variance[0], self.variance[1], self.df, cut)


def _linear(x: Moments) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """The ratio [S], the variance of L [S], its covariance with the covariates [S, 3], and theirs [S, 3, 3]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = x.mean[:, 0] / x.mean[:, 1]
        slope = np.stack([1 / x.mean[:, 1], -ratio / x.mean[:, 1]], axis=1)
    variance = np.einsum("si,sij,sj->s", slope, x.cov[:, :2, :2], slope)
    return ratio, np.maximum(variance, 0), np.einsum("sij,sj->si", x.cov[:, 2:, :2], slope), x.cov[:, 2:, 2:]


def _theta(own: Doubles, shared: Doubles) -> Doubles:
    """float64[S, 3], least squares by covariances; a column that says nothing of its own (den = 1: den_before is
    having been there) has no unique coefficient, and gets the smallest."""
    spread = np.sqrt(np.einsum("sii->si", own))
    spread = np.where(spread > 0, spread, 1.0)
    alike = own / (spread[:, :, None] * spread[:, None, :])
    known = np.isfinite(alike).all(axis=(1, 2)) & np.isfinite(shared).all(axis=1)
    inverse = np.linalg.pinv(np.where(known[:, None, None], alike, 0.0), rcond=1e-9, hermitian=True)
    out: Doubles = np.einsum("sij,sj->si", inverse, np.where(known[:, None], shared, 0.0) / spread) / spread
    return out
