"""``report.html``: one file that opens anywhere, asks nothing of the network, and tells all without a script.

The script only makes it handier: it sorts and searches tables, zooms and reads charts, and enlarges pictures. It and
the style are the only ones that the page's own policy lets in, by their digests; no text from outside is in either.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from inference_core.stats.summary import Summary
from jobs.report.decision_rows import decisions_told
from jobs.report.effect_lines import effects_block
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.figures import heat_figures, heat_text, histogram_figure, reliability_figures, tick_text
from jobs.report.galleries import build_galleries
from jobs.report.headlines import headlines
from jobs.report.hrefs import below_output, file_href
from jobs.report.number_text import (
    bytes_text,
    count_text,
    duration_text,
    hours_text,
    ms_text,
    price_text,
    quantity_text,
    rate_text,
    score_text,
    share_text,
    small_text,
)
from jobs.report.page_extras import PageExtras, ShownImage
from jobs.report.page_parts import class_bars, error_groups, memory_rows
from jobs.report.review_rows import MAX_REVIEW_SHOWN, review_rows
from jobs.report.safe_text import visible_text
from jobs.report.stage_table import stage_rows
from jobs.report.verdict_lines import reason_counts, verdict_counts
from jobs.report.yaml_lines import yaml_lines

SCORE_QUANTILES = {"p5": 0.05, "Median": 0.5, "p95": 0.95}
MAX_PAGE_BYTES = 15_000_000
"""A page that would be larger is written without pictures."""
WIDTHS = "".join(f".w{percent}{{width:{percent}%}}" for percent in range(101))
"""Of bars: the page's policy lets no style stand at an element."""
MAX_TEXT = 2_000
"""Characters of a single text, such as a name or an error."""


def report_html(
    summary: Summary, *, facts: RunFacts, errors: Sequence[ErrorRow], extras: PageExtras | None = None
) -> bytes:
    """The page's content, UTF-8, at most 15 MB."""
    extras = extras or PageExtras()
    content = render(summary, facts=facts, errors=errors, extras=extras)
    if len(content) > MAX_PAGE_BYTES:
        content = render(summary, facts=facts, errors=errors, extras=without_pictures(extras))
    return content


def without_pictures(extras: PageExtras) -> PageExtras:
    """The same with links in the place of pictures."""

    def bare(images: Sequence[ShownImage]) -> tuple[ShownImage, ...]:
        return tuple(replace(image, thumbnail=b"", picture=b"") for image in images)

    return replace(extras, images=bare(extras.images), explanations=bare(extras.explanations))


def render(summary: Summary, *, facts: RunFacts, errors: Sequence[ErrorRow], extras: PageExtras) -> bytes:
    """The page with all that it is given."""
    page = _build_environment().get_template("report.html.j2")
    style, script = own_file("report.css") + WIDTHS, own_file("report.js")
    review = review_rows(summary)
    text = page.render(
        style=Markup(style),
        script=Markup(script),
        policy=content_policy(style=style, script=script),
        summary=summary,
        facts=facts,
        extras=extras,
        headlines=headlines(summary, facts),
        failures=[(status, count) for status, count in summary.status.items() if status != "ok" and count],
        classes=class_bars(summary),
        num_classes_seen=sum(images > 0 for images in summary.classes.images),
        histograms={
            name: histogram_figure(part, extras.reference.get(name, ()))
            for name, part in summary.histograms.items()
            if part.count
        },
        heats=[(figure, heat_text(figure)) for figure in heat_figures(summary.grids)],
        reliability=reliability_figures(extras.evaluation),
        score_quantiles={name: summary.score_sketch.quantile(q_frac) for name, q_frac in SCORE_QUANTILES.items()},
        effects=effects_block(summary),
        stages=stage_rows(summary.timings),
        memory=memory_rows(facts),
        verdicts=verdict_counts(summary),
        review_reasons=reason_counts(summary),
        review=review[:MAX_REVIEW_SHOWN],
        galleries=build_galleries(extras.images, review),
        error_groups=error_groups(errors),
        config_lines=yaml_lines(facts.config),
        decisions=decisions_told(extras.decisions),
    )
    return text.encode("utf-8", errors="backslashreplace")


def own_file(name: str) -> str:
    """A file that lies beside this one."""
    return files("jobs.report").joinpath(name).read_text("utf-8")


def content_policy(*, style: str, script: str) -> str:
    """What a browser may do with the page: run the one script, take the one style, and show the pictures in it."""
    digests = {name: b64encode(sha256(text.encode()).digest()).decode() for name, text in (("a", style), ("b", script))}
    return (
        f"default-src 'none'; style-src 'sha256-{digests['a']}'; script-src 'sha256-{digests['b']}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )


def jpeg_uri(data: bytes) -> str:
    """A picture as an address that holds it."""
    return f"data:image/jpeg;base64,{b64encode(data).decode()}"


def _build_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jobs.report", package_path=""),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "below_output": below_output,
        "bytes": bytes_text,
        "digits": count_text,
        "edge": tick_text,
        "duration": duration_text,
        "file_href": file_href,
        "hours": hours_text,
        "jpeg": lambda data: Markup(jpeg_uri(data)),
        "ms": ms_text,
        "numbers": Markup,  # of a chart, made here; may be longer than other texts
        "price": price_text,
        "quantity": quantity_text,
        "rate": rate_text,
        "score": score_text,
        "share": share_text,
        "small": small_text,
    }
    return environment


def _show(value: object) -> object:
    """Every text that the template inserts goes through here, so that none can be forgotten."""
    if type(value) is not str:
        return value
    return visible_text(value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}…")
