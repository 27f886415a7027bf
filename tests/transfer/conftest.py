from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from geotransfer.core.legend import CROPLAND, Legend, LegendClass
from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.transfer.baseline import train_baseline
from geotransfer.transfer.model import Model
from geotransfer.transfer.samples import Samples
from geotransfer.transfer.trees import Training

SMALL = (Training(n_trees=12, n_leaves=7, learning_rate=0.2),)

LAND = Legend(
    name="land",
    classes=(
        LegendClass(code=3, name="water", color="#0072b2"),
        LegendClass(code=5, name="forest", color="#009e73"),
        LegendClass(code=9, name="fields", color="#e69f00"),
    ),
)


def make_samples(
    n: int,
    *,
    region_id: str = "kivu",
    seed: int = 0,
    codes: tuple[int, ...] = (0, 1),
    signal: float = 1.0,
    has_position: bool = True,
    extent_km: float = 800.0,
) -> Samples:
    """Rows whose classes differ in reflectance and, with position, in where they lie."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, len(codes), n)
    measured = rng.uniform(0.05, 0.4, (n, len(S2_SEMIANNUAL.measured)))
    measured[:, 3] += 0.15 * signal * targets
    measured[:, 18] += 0.10 * signal * targets
    xy = rng.uniform(0, extent_km, (n, 2))
    xy[:, 0] += 0.25 * extent_km * targets
    return Samples(
        spec=S2_SEMIANNUAL,
        measured=measured.astype(np.float32),
        classes=np.array(codes)[targets],
        weights=np.ones(n),
        xy_km=xy if has_position else None,
        region_ids=np.full(n, region_id),
    )


@pytest.fixture(scope="session")
def source() -> Samples:
    from geotransfer.transfer.samples import concatenate_samples

    return concatenate_samples(
        *[
            make_samples(160, region_id=name, seed=i, signal=0.4, has_position=False)
            for i, name in enumerate(("alpha", "beta", "gamma"))
        ]
    )


@pytest.fixture(scope="session")
def baseline(source) -> Model:
    return train_baseline(source, CROPLAND, trainings=SMALL)


@pytest.fixture(scope="session")
def land_baseline() -> Model:
    samples = make_samples(240, region_id="alpha", seed=4, codes=LAND.codes, has_position=False)
    return train_baseline(samples, LAND, trainings=SMALL)


@pytest.fixture(scope="session")
def labels() -> Samples:
    return make_samples(80, seed=11)


@pytest.fixture(scope="session")
def make():
    return make_samples


@pytest.fixture(scope="session")
def reference_folder() -> Path:
    here = os.environ.get("GEOTRANSFER_REFERENCE_DATA")
    root = Path(here) if here else Path(__file__).parents[2].parent / "shared" / "data"
    folder = root / "deafrica-cropland-2019"
    if not folder.exists():
        pytest.skip(f"no reference data at {root}; set GEOTRANSFER_REFERENCE_DATA")
    return folder
