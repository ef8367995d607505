"""Sums over users that every comparison is made of: one matrix product gives those of an arm, or of 5,000 splits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedmill.metrics.rollup.units import Units

Doubles = NDArray[np.float64]
PLACES = np.triu_indices(5)


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Users of S groups in five columns: num, den, num_before, den_before, and whether they were there before.

    Attributes:
        n: float64[S] users.
        mean: float64[S, 5] of the columns; NaN where there is no user.
        cov: float64[S, 5, 5] with n - 1 below; NaN below two users.
    """

    n: Doubles
    mean: Doubles
    cov: Doubles

    def __getitem__(self, group: int) -> Moments:
        return Moments(self.n[group, None], self.mean[group, None], self.cov[group, None])


class Products:
    """The columns of n users and the products of every two of them, standardised so that no digits are lost."""

    def __init__(self, units: Units) -> None:
        was_there = (units.num_before != 0) | (units.den_before != 0)
        columns = np.stack([units.num, units.den, units.num_before, units.den_before, was_there], axis=1)
        self.centre = columns.mean(axis=0) if len(columns) else np.zeros(5)
        spread = columns.std(axis=0) if len(columns) else np.ones(5)
        self.scale = np.where(spread > 1e-12 * abs(self.centre), spread, 1.0)
        z = (columns - self.centre) / self.scale
        self.sums = np.concatenate([z, z[:, PLACES[0]] * z[:, PLACES[1]]], axis=1)  # [n, 5 + 15]

    def of(self, members: Doubles) -> Moments:
        """Moments of groups of users.

        Args:
            members: float64[S, n], 1 = of the group, 0 = not.
        """
        return self.moments(members.sum(axis=1), members @ self.sums)

    def moments(self, n: Doubles, sums: Doubles) -> Moments:
        """Of sums, float64[S, 20], that were added up elsewhere; float64[S] users each."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, square = np.split(sums / n[:, None], [5], axis=1)
            cov = np.empty((len(n), 5, 5))
            cov[:, PLACES[0], PLACES[1]] = cov[:, PLACES[1], PLACES[0]] = square
            cov = (cov - mean[:, :, None] * mean[:, None, :]) * (n / (n - 1))[:, None, None]
        cov *= self.scale[:, None] * self.scale
        cov[n < 2] = np.nan
        return Moments(n, self.centre + self.scale * mean, cov)


def of_arms(units: Units) -> Moments:
    """Of each arm, in the order of ``units.arms``."""
    members = np.arange(len(units.arms))[:, None] == units.arm
    return Products(units).of(members.astype(np.float64))
