"""Pictures, explanations, labels and files on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inference_core.stats.grid import Grid
from inference_core.stats.summary import Summary
from jobs.report.drift_facts import DriftFacts
from jobs.report.facts import ErrorRow, RunCost, RunFacts
from jobs.report.page import MAX_PAGE_BYTES, report_html
from jobs.report.page_extras import FileLink, PageExtras, ShownImage
from jobs.report.shown_evaluation import ShownEvaluation
from jobs.visuals.index import DrawnReason
from tests.jobs.report.conftest import HOSTILE_ID
from tests.jobs.report.test_page import Page

BREAKOUT = '"><img src=x onerror=alert(1)>'
JPEG = b"\xff\xd8 not decoded here"
EVALUATION = {
    "run_id": "run-1",
    "num_images": 6,
    "num_evaluated": 3,
    "warnings": ["<b>one</b> has no label"],
    "figures": {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75, "interval": "wilson"}},
    "per_class": [{"class_id": 0, "label": "<script>", "f1": 0.5}, {"class_id": 1, "label": "cat", "f1": None}],
    "reliability": [{"low": 0, "high": 0.1, "count": 4, "score_mean": 0.05, "right_frac": 0.25}],
    "fit": None,
    "verdicts": None,
}


def shown(image_id: str, *, status: str = "ok", policy: str = "random", **values: object) -> ShownImage:
    plain = ShownImage(
        image_id=image_id,
        uri=f"file:///in/{image_id}",
        status=status,
        error="" if status == "ok" else "the <i>end</i> is missing",
        label="cat",
        score=0.5,
        note="",
        reasons=(DrawnReason(policy=policy, rank=1, group=""),),
        path=f"visuals/{policy}/{image_id}.jpg",
        thumbnail=JPEG,
        thumbnail_hw=(3, 4),
    )
    return replace(plain, **values)


def page_of(summary: Summary, facts: RunFacts, extras: PageExtras, errors: list[ErrorRow] | None = None) -> Page:
    return Page(report_html(summary, facts=facts, errors=errors or [], extras=extras))


def values_of(page: Page, name: str) -> list[str]:
    return [value for key, value in page.attributes if key == name]


def test_pictures_of_hostile_names_are_pictures_and_nothing_else(judged: Summary, facts: RunFacts) -> None:
    names = (BREAKOUT, HOSTILE_ID, "</script><script>alert(1)</script>", "a/../../b", "späße/\u202egpj.png")
    images = tuple(shown(name, label=BREAKOUT, note=BREAKOUT) for name in names)
    page = page_of(judged, facts, PageExtras(images=images, num_drawn=5))
    assert page.tags.count("img") == 5
    assert page.tags.count("script") == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in values_of(page, "src"))
    links = [link for link in values_of(page, "href") if link.startswith("../visuals/random/")]
    assert len(links) == 5
    assert not any(set(link) & set("\"<> '\n\u202e") for link in links)


def test_those_to_look_at_come_first_and_no_picture_twice(judged: Summary, facts: RunFacts) -> None:
    images = (shown("x.jpg"), shown("b.jpg", policy="worst"), shown(HOSTILE_ID, policy="review"))
    page = page_of(judged, facts, PageExtras(images=images, num_drawn=9))
    alts = values_of(page, "alt")
    assert [alt.rpartition(", ")[2] for alt in alts] == ["=a\"b'c\\nd\\u202egpj.exe", "b.jpg", "x.jpg"]
    assert "review:to review|worst:lowest scores|random:by chance" in values_of(page, "data-choices")
    assert values_of(page, "data-policies") == ["review", "review worst", "random"]
    assert "The first 3 of 9; all are in visuals" in page.text


def test_a_failed_image_stands_among_the_errors_with_its_reason(
    classified: Summary, facts: RunFacts, errors: list[ErrorRow]
) -> None:
    drawn = shown("z.jpg", status="decode_error", policy="per_error")
    gone = shown("y.jpg", status="fetch_error", policy="per_error", path="", thumbnail=b"")
    page = page_of(classified, facts, PageExtras(images=(drawn, gone), num_drawn=2), errors)
    assert values_of(page, "alt") == ["the <i>end</i> is missing, z.jpg"]
    assert "Pictures" not in page.text
    assert "millrace retry OUT --status fetch_error,decode_error" in page.text


def test_without_pictures_the_page_says_how_to_get_them(classified: Summary, nothing: Summary, facts: RunFacts) -> None:
    hint = "millrace finalize OUT --set visuals.review=20"
    assert hint in page_of(classified, facts, PageExtras()).text
    assert hint not in page_of(nothing, facts, PageExtras()).text


def test_a_page_that_would_be_too_large_has_links_for_pictures(classified: Summary, facts: RunFacts) -> None:
    images = tuple(shown(f"{k}.jpg", thumbnail=bytes(3_000_000)) for k in range(4))
    extras = PageExtras(images=images, explanations=images[:1], num_drawn=4)
    content = report_html(classified, facts=facts, errors=[], extras=extras)
    assert len(content) < MAX_PAGE_BYTES
    page = Page(content)
    assert "img" not in page.tags
    assert page.text.count("open the picture") == 5


def test_long_texts_are_cut_so_that_names_alone_cannot_make_a_page_large(classified: Summary, facts: RunFacts) -> None:
    rows = [ErrorRow(image_id=f"{k}" + "x" * 4000, uri="", status="oom", error="y" * 100_000) for k in range(300)]
    assert len(report_html(classified, facts=facts, errors=rows)) < 2_000_000


def test_explanations_labels_and_files_are_shown(classified: Summary, facts: RunFacts) -> None:
    extras = PageExtras(
        explanations=(shown("e.jpg", note="gradcam at layer4", path="explanations/e.jpg.png"),),
        evaluation=ShownEvaluation.model_validate(EVALUATION),
        links=(FileLink(path="../visuals/", words="all pictures"),),
    )
    page = page_of(classified, facts, extras)
    for part in (
        "What answers come from",
        "gradcam at layer4",
        "Against labels 3 labelled images of 6",
        "<b>one</b> has no label",
        "accuracy 0.5000 0.2500 to 0.7500",
        "Are scores as right as they say?",
        "<script> 0.5",
        "../visuals/ all pictures",
    ):
        assert part in page.text
    assert "../explanations/e.jpg.png" in values_of(page, "href")


SECTIONS = {"Quality", "Against labels", "Drift", "Calibration and thresholds", "What answers come from", "Pictures"}


def headings(page: Page) -> set[str]:
    return {part for part in SECTIONS if f" {part} " in page.text}


def test_sections_are_there_only_where_there_is_something_to_say(
    classified: Summary, judged: Summary, nothing: Summary, facts: RunFacts
) -> None:
    assert headings(page_of(classified, facts, PageExtras())) == set()
    assert headings(page_of(nothing, facts, PageExtras())) == set()
    extras = PageExtras(
        images=(shown("a.jpg"),),
        num_drawn=1,
        explanations=(shown("e.jpg"),),
        evaluation=ShownEvaluation.model_validate(EVALUATION),
        decisions={"calibration": {}},
    )
    drifted = replace(facts, drift=DriftFacts(reference="file:///r", run_id="r", drifts={}))
    assert headings(page_of(judged, drifted, extras)) == SECTIONS


@pytest.mark.parametrize(
    ("decisions", "expected"),
    [
        ({"calibration": {"temperature": 1.25}}, "Calibration temperature 1.25"),
        ({"calibration": {}}, "Calibration none Scores are as the model gives them"),
        ({"calibration": {"temperature": {"cat": 2.0, "dog": 1.5}}}, "temperature, 2 classes have their own"),
        ({"calibration": {"isotonic": {"x": [0, 0.5, 1], "y": [0, 0.4, 1]}}}, "isotonic, 3 points"),
        ({"calibration": {"platt": {"a": 0.5, "b": -1.0}}}, "platt, slope 0.5, offset -1.0"),
        ({"threshold": 0.5, "thresholds": {"<b>cat</b>": 0.25}}, "Threshold 0.5 but for 1 class"),
        ({"threshold": 0.5, "thresholds": {"<b>cat</b>": 0.25}}, "<b>cat</b> 0.25"),
        ({"threshold": 0.5, "quality": {"rules": [{"reason": "<i>"}]}}, "reason: <i>"),
    ],
)
def test_calibration_and_thresholds_are_told(
    classified: Summary, facts: RunFacts, decisions: dict[str, object], expected: str
) -> None:
    assert expected in page_of(classified, facts, PageExtras(decisions=decisions)).text


def test_a_reference_is_drawn_over_the_histogram(classified: Summary, facts: RunFacts) -> None:
    with_reference = page_of(classified, facts, PageExtras(reference={"score": (0,) * 63 + (5,)}))
    assert "the reference, as if it had as many images" in with_reference.text
    for wrong in ((1, 2), (0,) * 64):
        assert "the reference" not in page_of(classified, facts, PageExtras(reference={"score": wrong})).text


def test_uncertainty_is_drawn_where_statistics_are(classified: Summary, facts: RunFacts) -> None:
    grids = {"size": Grid(axis="size", cells=((8 * 32 + 16, 3), (9 * 32 + 8, 1)))}
    page = page_of(replace(classified, grids=grids), facts, PageExtras())
    (label,) = [value for value in values_of(page, "aria-label") if value.startswith("Uncertainty by size")]
    assert label == (
        "Uncertainty by size of 4 images; the mean is highest, 0.52, around 64, and lowest, 0.27, around 76"
    )
    assert values_of(page, "data-cells") == ["1,15,3 2,23,1"]
    assert "Uncertainty by" not in page_of(classified, facts, PageExtras()).text


@pytest.mark.parametrize(
    ("cost", "expected"),
    [
        (None, ""),
        (RunCost(core_hours=2.5, gpu_hours=0.0, price=None), "Core hours 2.5 no prices are set"),
        (RunCost(core_hours=2.5, gpu_hours=1.0, price=3.14159), "Cost 3.14 2.5 core hours, 1 GPU hours"),
    ],
    ids=["unknown", "no prices", "priced"],
)
def test_the_headline_tells_the_cost(classified: Summary, facts: RunFacts, cost: RunCost | None, expected: str) -> None:
    text = page_of(classified, replace(facts, cost=cost), PageExtras()).text
    assert (expected in text) if expected else ("ore hours" not in text and "Cost" not in text)


def test_what_to_know_stands_first(judged: Summary, facts: RunFacts) -> None:
    text = page_of(judged, facts, PageExtras()).text
    assert "2 images have no answer (33.3 %), most of them: fetch_error. more" in text
    assert "1 to review, 1 rejected (66.7 % of the answers). more" in text


def test_a_run_of_failures_alone_and_a_run_of_one_image(nothing: Summary, classified: Summary, facts: RunFacts) -> None:
    failed = replace(nothing, num_rows=2, status={**nothing.status, "oom": 2})
    all_bad = replace(facts, num_planned=2, num_ok=0, num_failed=2, num_skipped=0)
    errors = [ErrorRow(image_id=f"{k}", uri="", status="oom", error="") for k in range(2)]
    text = page_of(failed, all_bad, PageExtras(), errors).text
    assert "2 images have no answer (100.0 %), most of them: oom." in text
    assert "No image has an answer." in text
    one = replace(facts, num_planned=1, num_ok=0, num_failed=1, num_skipped=0)
    assert "1 image has no answer (100.0 %)" in page_of(failed, one, PageExtras(), errors[:1]).text
