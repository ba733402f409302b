"""Write a run's page again, once something was made that it shows: explanations, or a comparison with labels."""

from __future__ import annotations

from inference_core import storage
from jobs.commits import CommitLog
from jobs.finalize import REPORT, run_facts
from jobs.ledger import fold_records
from jobs.listing import read_listing
from jobs.page_sources import read_extras
from jobs.plan import Plan
from jobs.report.page import report_html

PAGE = "report.html"


def write_page_again(output: str, plan: Plan) -> bool:
    """Write the page of a run that has one; all other files of the report stay.

    Args:
        output: the run's folder or prefix.
        plan: the run's.

    Returns:
        Whether there was one.
    """
    page_uri = storage.join(output, REPORT, PAGE)
    listing = read_listing(output)
    if listing is None or not storage.exists(page_uri):
        return False
    records = CommitLog(output).read_many(range(len(listing.shards)))
    ledger = fold_records(plan, listing.shards, records)
    extras = read_extras(output, plan, annotations=plan.config["results"].get("annotations", ()))
    facts = run_facts(output, plan, listing, ledger)
    storage.replace(page_uri, report_html(ledger.summary, facts=facts, errors=ledger.errors, extras=extras))
    return True
