"""How large a report is, and how long a browser takes to open it: a job of many images with pictures, in Chromium.

    python benchmarks/report_page.py --images FOLDER --model PACKAGE --count 10000 --opens 5

The job is the real command, with as many pictures as a report takes. Each opening is a browser of its own with an empty
profile, so nothing is cached; ``load`` ends when all that stands in the file is there, ``idle`` when the page has been
drawn and its script has had a turn. Times are the page's own clock, from the start of the navigation.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from pipeline import link_images
from visuals import run_job

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.integration.browser import browser

SETTINGS = ("visuals.worst=200", "visuals.random=200", "visuals.per_class=5")
ASK_TIMES = """
const done = arguments[0];
const told = () => {
  const [page] = performance.getEntriesByType("navigation");
  done({load_s: page.loadEventEnd / 1000, idle_s: performance.now() / 1000, elements: document.all.length});
};
requestAnimationFrame(() => setTimeout(told, 0));
"""
SIZES = {"desktop": (1400, 950), "phone": (390, 844)}


def open_page(page: Path, *, width: int, height: int) -> dict[str, float]:
    """Open a page in a fresh browser; its times."""
    with tempfile.TemporaryDirectory() as profile, browser(Path(profile)) as chrome:
        chrome.set_window_size(width, height)
        chrome.get(page.as_uri())
        times: dict[str, float] = chrome.execute_async_script(ASK_TIMES)
    return times


def main() -> None:
    """Print everything as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="a folder of image files, repeated up to --count")
    parser.add_argument("--model", required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--opens", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="where the report is to stay")
    options = parser.parse_args()
    files = sorted(path for path in options.images.iterdir() if path.is_file())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        link_images(files, folder / "images", count=options.count)
        run_job(options.model, folder / "images", folder / "out", SETTINGS)
        page = folder / "out" / "report" / "report.html"
        print(json.dumps({"images": options.count, "report_MB": page.stat().st_size / 1e6}))
        for kind, (width, height) in SIZES.items():
            times = [open_page(page, width=width, height=height) for _ in range(options.opens)]
            for key in ("load_s", "idle_s"):
                values = sorted(one[key] for one in times)
                print(json.dumps({kind: key, "median": statistics.median(values), "most": values[-1]}))
            print(json.dumps({kind: "elements", "number": times[0]["elements"]}))
        if options.keep:
            options.keep.write_bytes(page.read_bytes())


if __name__ == "__main__":
    main()
