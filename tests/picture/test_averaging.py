"""Pictures made smaller by a whole factor."""

from __future__ import annotations

import numpy as np
import pytest

from vivant.picture.averaging import averaged


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6, 7])
@pytest.mark.parametrize("shape", [(43, 30), (29, 44, 3)])
def test_every_pixel_is_the_mean_of_its_square(factor: int, shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    rows, columns = shape[0] // factor, shape[1] // factor
    part = image[: rows * factor, : columns * factor].astype(np.float64)
    wanted = part.reshape(rows, factor, columns, factor, *shape[2:]).mean(axis=(1, 3))
    found = averaged(image, factor)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1.0
