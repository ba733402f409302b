from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser

import pyarrow as pa
import pytest

from inference_core.stats.forwards import ForwardStats
from inference_core.stats.summary import Summary
from inference_core.tasks.enhanced import GAIN_FIELD
from jobs.peaks import GpuPeak, Peaks
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.page import report_html
from jobs.report.summary_json import summary_json
from tests.jobs.report.conftest import fold, ok_row

VOID = {"meta", "rect", "link", "img", "br"}


class Page(HTMLParser):
    """Tags, attributes and visible text of a page; checks that tags close in order."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(content.decode("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_of(summary: Summary, facts: RunFacts, errors: list[ErrorRow]) -> Page:
    return Page(report_html(summary, facts=facts, errors=errors))


@pytest.mark.parametrize("task", ["classified", "judged", "segmented", "labelled", "detected", "embedded", "nothing"])
def test_the_page_asks_nothing_of_the_network_and_runs_its_own_script_alone(
    task: str, request: pytest.FixtureRequest, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    content = report_html(request.getfixturevalue(task), facts=facts, errors=errors)
    page = Page(content)
    assert not {"link", "img", "iframe", "object", "form", "base"} & set(page.tags)
    assert (page.tags.count("script"), page.tags.count("style")) == (1, 1)
    names = {name for name, _ in page.attributes}
    assert not {name for name in names if name.startswith("on")} | names & {"src", "style", "action", "srcset"}
    links = [value for name, value in page.attributes if name == "href"]
    assert links
    assert all(link.startswith(("#", "../")) or link.endswith((".csv", ".json")) for link in links)
    policy = next(value for _, value in page.attributes if value.startswith("default-src 'none'"))
    for tag, kind in (("style", "style"), ("script", "script")):
        text = content.decode().split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = b64encode(sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert b"@import" not in content
    assert b"url(" not in content


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        pytest.param("classified", "2 of 3 classes were predicted.", id="classification"),
        pytest.param("labelled", "2 of 3 classes reach their threshold.", id="multilabel"),
        pytest.param("labelled", "Score Image Best class", id="multilabel-review"),
        pytest.param("detected", "Class Objects Images Of all Score", id="detection"),
        pytest.param("detected", "Objects in an image: 0 to 2, 1.5 on average.", id="detection-objects"),
        pytest.param("detected", "Score: mean over its images, of the best object in each.", id="detection-score"),
        pytest.param("judged", "Verdict Images Share accept 1 33.3 %", id="verdicts"),
        pytest.param("judged", "knows nothing 1 33.3 %", id="reasons"),
        pytest.param(
            "judged", "Rank Verdict Priority Score Image Answer Reasons 1 review 0.7500 0.2500", id="verdict-review"
        ),
        pytest.param("embedded", "An embedding has no classes.", id="embedding"),
        pytest.param("embedded", "Look at these first An embedding has no score.", id="embedding-review"),
    ],
)
def test_each_task_shows_what_it_has(
    task: str, shown: str, request: pytest.FixtureRequest, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    assert shown in page_of(request.getfixturevalue(task), facts, errors).text


def test_a_run_that_finds_nothing_says_so(facts: RunFacts) -> None:
    empty = {"objects": [], "num_objects": 0, "score": None, "class_ids": [], "scores": []}
    row = ok_row("a.jpg", 0, 0.5) | empty
    assert "No object was found." in page_of(fold([row], "detection"), facts, []).text
    assert "No class reaches its threshold." in page_of(fold([row | {"score": 0.1}], "multilabel"), facts, []).text


def test_names_from_outside_are_text_and_nothing_else(
    classified: Summary, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    content = report_html(classified, facts=facts, errors=errors)
    assert content.count(b"<script") == 1
    assert b"<img" not in content
    assert "\u202e" not in content.decode()
    page = Page(content)
    for name in (
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "unet & <friends>",
        "uri: s3://bucket/<b>",
    ):
        assert name in page.text
    assert "=a\"b'c\\nd\\u202egpj.exe" in page.text


def test_an_attribute_cannot_be_left(classified: Summary, facts: RunFacts) -> None:
    page = page_of(classified, replace(facts, finished='"><b onclick="x'), [])
    assert ("datetime", '"><b onclick="x') in page.attributes


def test_the_ledger_is_shown_and_said_to_add_up(classified: Summary, facts: RunFacts, errors: list[ErrorRow]) -> None:
    text = page_of(classified, facts, errors).text
    assert "6 planned = 3 ok + 2 failed + 1 skipped" in text
    assert "Every input ended in exactly one row." in text
    assert "fetch_error 1" in text


def test_a_ledger_that_does_not_add_up_says_so(classified: Summary, facts: RunFacts) -> None:
    text = page_of(classified, replace(facts, num_planned=1008), []).text
    assert "The sums do not add up: 1,002 inputs apart. Run the same command again." in text
    assert "exactly one row" not in text


def test_headline_and_stages(classified: Summary, facts: RunFacts) -> None:
    text = page_of(classified, facts, []).text
    assert "Images per second 0.1 4 cores" in text
    assert "Wall time 1 min 00 s 1 attempt" in text
    assert "Fetch takes the most: 40.0 % of the time of all stages." in text
    assert "prepare 30.0 % 3 ms" in text


def test_segmentation_shows_area_and_coverage(segmented: Summary, classified: Summary, facts: RunFacts) -> None:
    text = page_of(segmented, facts, []).text
    assert "cat 50.0 % 2 66.7 %" in text
    assert "Coverage" in text
    assert "Entropy" not in text
    assert "Coverage" not in page_of(classified, facts, []).text


def test_an_empty_run_has_a_page(nothing: Summary, facts: RunFacts) -> None:
    none = replace(facts, num_planned=0, num_ok=0, num_failed=0, num_skipped=0, images_per_s=0.0, wall_s=0.0)
    text = page_of(nothing, none, []).text
    assert "0 planned = 0 ok + 0 failed + 0 skipped" in text
    assert "No image has an answer." in text
    assert "No times were recorded." in text


def test_scores_that_are_not_numbers_are_pointed_out(classified: Summary, facts: RunFacts) -> None:
    moments = dict(classified.moments)
    moments["score"] = replace(moments["score"], num_not_finite=1234)
    text = page_of(replace(classified, moments=moments), facts, []).text
    assert "1,234 scores are not finite numbers and are left out." in text


def test_more_errors_than_are_shown_are_counted(classified: Summary, facts: RunFacts) -> None:
    rows = [ErrorRow(image_id=f"{k:05d}", uri="", status="oom", error="too big") for k in range(1500)]
    text = page_of(classified, facts, rows).text
    assert "The first 200 of 1,500." in text
    assert "1,500 × too big" in text  # noqa: RUF001 the page's own sign
    assert ("00199" in text, "00200" in text) == (True, False)


def test_a_name_that_is_no_unicode_does_not_break_the_page(classified: Summary, facts: RunFacts) -> None:
    row = ErrorRow(image_id="caf\udce9", uri="", status="oom", error="")
    assert "caf\\udce9" in page_of(classified, facts, [row]).text


def test_memory_and_gpus_are_shown_where_they_are_known(classified: Summary, facts: RunFacts) -> None:
    assert "No memory was recorded." in Page(report_html(classified, facts=facts, errors=[])).text
    gpu = GpuPeak(
        host="<node>", gpu="0", name="H100", busy_frac=0.625, used_bytes=20_000_000_000, total_bytes=80_000_000_000
    )
    peaks = Peaks(
        driver_bytes=400_000_000,
        bytes_by_pool={"workers": 800_000_000},
        gpu_tensor_bytes=7_000_000_000,
        gpus=(gpu,),
        num_oom_halvings=3,
    )
    text = Page(report_html(classified, facts=replace(facts, peaks=peaks), errors=[])).text
    for part in ("command 400 MB", "worker 800 MB", "at most 7 GB of a GPU", "were halved: 3", "<node> 0, H100"):
        assert part in text
    assert "62.5 % 20 GB 80 GB" in text


def test_views_are_shown_with_what_they_changed_and_only_where_there_are_any(
    classified: Summary, facts: RunFacts
) -> None:
    assert "Views and members" not in Page(report_html(classified, facts=facts, errors=[])).text
    gains = [{"name": "hflip", "changed_frac": 0.25, "score_shift": 0.125}]
    rows = pa.Table.from_pylist([{"gains": gains}], schema=pa.schema([GAIN_FIELD]))
    viewed = replace(classified, forwards=ForwardStats.of(rows))
    assert "hflip 25.0 % 0.125" in Page(report_html(viewed, facts=facts, errors=[])).text
    block = json.loads(summary_json(viewed, facts))["forwards"]
    assert (block["gains"][0]["name"], block["gains"][0]["changed_frac"]["mean"]) == ("hflip", 0.25)
    assert "forwards" not in json.loads(summary_json(classified, facts))
