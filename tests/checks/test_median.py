"""The median that the checks use is NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.checks.median import median


@pytest.mark.parametrize("count", [1, 2, 7, 2304])
@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_it_is_the_one_of_numpy(count: int, kind: type[np.generic]) -> None:
    values = np.random.default_rng(3).uniform(0, 255, count).astype(kind)
    assert median(values) == pytest.approx(float(np.median(values)), rel=1e-6)


def test_values_may_have_any_shape_and_stay_as_they_are() -> None:
    values = np.arange(24.0)[::-1].reshape(2, 3, 4)
    before = values.copy()
    assert median(values) == 11.5
    assert np.array_equal(values, before)
