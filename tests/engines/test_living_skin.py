"""Skin of a drawn lid: its grain has no direction, and what is not skin does not darken it."""

from __future__ import annotations

import numpy as np

from vivant.engines.living.skin_film import skin_film
from vivant.engines.living.skin_grain import skin_grain


def test_stripes_on_the_cheek_do_not_become_streaks() -> None:
    ys, xs = np.mgrid[0:120, 0:120]
    levels = 150 + 5 * np.sin(2.5 * ys) + np.random.default_rng(1).normal(0, 0.5, ys.shape)
    picture = np.repeat(levels[..., None], 3, axis=2).astype(np.uint8)
    grain = skin_grain(picture, xs - 10.0, ys - 30.0, 100.0)[..., 0]
    down, across = (float(np.abs(np.diff(grain, axis=axis)).mean()) for axis in (0, 1))
    assert grain.std() > 0.5
    assert 0.8 < down / across < 1.25


def test_a_brow_beside_the_lid_does_not_darken_it() -> None:
    picture = np.full((60, 60, 3), 180, np.uint8)
    picture[:16] = 40
    hidden = np.zeros((60, 60), bool)
    hidden[16:40, 10:50] = True
    assert skin_film(picture, hidden)[hidden].min() > 172
