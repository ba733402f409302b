"""Write ``morans_i.json``: Moran's I of drawn masks by esda, of the Python Spatial Analysis Library.

It brings geopandas with GDAL's and GEOS's libraries, which the tests do not need otherwise, so its answers are kept. To
make them anew, in an environment of its own:

    pip install esda==2.9.0
    python tests/references/write_morans_i.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from esda.moran import Moran
from libpysal.weights import lat2W

SHAPES = ((2, 2), (1, 9), (5, 4), (8, 8), (12, 7), (16, 16))
TABLE = Path(__file__).with_name("morans_i.json")


def draw_mask(seed: int) -> np.ndarray:
    """Two classes, in patches or pixel by pixel."""
    random = np.random.default_rng(seed)
    height, width = SHAPES[seed % len(SHAPES)]
    step = 1 + seed // len(SHAPES)
    coarse = random.integers(0, 2, (-(-height // step), -(-width // step)))
    mask = np.kron(coarse, np.ones((step, step), np.int64))[:height, :width]
    mask[0, 0], mask[-1, -1] = 0, 1
    return mask


def main() -> None:
    """Write the table."""
    cases = []
    for seed in range(3 * len(SHAPES)):
        mask = draw_mask(seed)
        found = Moran(mask.ravel().astype(float), lat2W(*mask.shape, rook=True), transformation="B", permutations=0)
        rows = ["".join(map(str, row)) for row in mask.tolist()]
        cases.append(json.dumps({"mask": rows, "i": round(float(found.I), 12)}))
    joined = ",\n".join(cases)
    TABLE.write_text(f'{{"made_by": "esda {version("esda")}", "cases": [\n{joined}\n]}}\n')


if __name__ == "__main__":
    main()
