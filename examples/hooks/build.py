"""Write a package of the cells model that carries functions of its own.

python examples/hooks/build.py --out OUT
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from inference_core.models.package import load_package
from inference_core.models.write_package import write_package
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings

HERE = Path(__file__).resolve().parent
CELLS = HERE.parent / "cells" / "package"
CODE = "cells_hooks.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the cells package, add a filter, a decoder and a step, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, help="new folder or prefix")
    parser.add_argument("--sigma-px", type=float, default=40.0, help="of flatten_light")
    parser.add_argument("--bias", type=float, default=0.5, help="of prefer_cells")
    options = parser.parse_args(arguments)

    cells = load_package(str(CELLS))
    facts = cells.spec.model_dump(mode="json", by_alias=True)
    facts["name"] = "cells-unet-with-hooks"
    facts["input"]["filters"] = [{"import": f"./{CODE}:flatten_light", "options": {"sigma_px": options.sigma_px}}]
    facts["output"]["decoder"] = {"import": f"./{CODE}:prefer_cells", "options": {"bias": options.bias}}
    facts["postprocess"].append({"import": f"./{CODE}:drop_cells_at_border"})
    spec = build_settings(ModelSpec, facts, origin="this example")
    package = write_package(options.out, spec, files={**cells.weights.files, CODE: (HERE / CODE).read_bytes()})
    print(f"wrote {package.uri}, digest {package.digest[:12]}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
