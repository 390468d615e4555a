"""Every metric of the loader, with help text and label values; the source of docs/metrics.md."""

from __future__ import annotations

from loader.faults import Severity
from pdp.runtime.metric import Description

RESULTS = {
    "success": "",
    "partial": "Something waits for a person; all else is current.",
    "failure": "What changed is not in force.",
}

CAUSES = {
    "": "It succeeded.",
    "faults": "The definitions have errors; the tenants that they concern keep their last good rules, the others are "
    "current.",
    "held_back": "A removal waits for a person; everything else is current.",
    "source": "Nothing could be read.",
    "publish": "Redis did not do its part, or another loader took the lead.",
}
"""The log has the details of each."""

OUTCOMES = (
    ("success", ""),
    ("partial", "faults"),
    ("partial", "held_back"),
    ("failure", "source"),
    ("failure", "publish"),
)
"""The results of cycles, with reasons."""

TRUTHS = {
    "holds": "",
    "broken": "Some call is decided otherwise; where it is enforced, the tenant keeps its last good rules.",
    "not proven": "The patterns take too many states; counts as one that is broken.",
}
"""The label values by result of an expectation's proof."""

_LAST = "Of the last cycle that did not fail; absent while this loader does not lead."

METRICS: dict[str, Description] = {
    "rightcall_loader_cycles_total": Description(
        "counter", "Looks at the source, and what came of them.", {"result": RESULTS, "cause": CAUSES}
    ),
    "rightcall_loader_read_seconds": Description(
        "histogram",
        "Time to read and check the whole source.",
        more="Of cycles that could. Buckets from 10 ms to 300 s, as of the next two.",
    ),
    "rightcall_loader_compile_seconds": Description("histogram", "Time to compile a tenant that changed."),
    "rightcall_loader_publish_seconds": Description("histogram", "Time to publish what was compiled of a tenant."),
    "rightcall_loader_published_total": Description("counter", "Revisions that became current."),
    "rightcall_loader_removed_total": Description(
        "counter", "Tenants that were taken away because the source lacks them."
    ),
    "rightcall_loader_last_success_timestamp_seconds": Description(
        "gauge",
        "Unix time of the last cycle that did not fail; 0 before the first.",
        more="A loader that stands by has no cycles.",
    ),
    "rightcall_loader_stuck": Description(
        "gauge",
        "1 while a cycle, or all that is being compiled, has stood still for four seconds, else 0.",
        more="`/healthz` fails meanwhile, another loader leads, and after 20 s the loader ends with exit code 70. "
        "Waiting for the source or Redis does not count before their timeouts.",
    ),
    "rightcall_loader_leading": Description(
        "gauge", "1 while this loader leads, 0 while it stands by.", more="As far as it knows."
    ),
    "rightcall_loader_source_staleness_seconds": Description(
        "gauge",
        "Time for which a change of the source may be unknown to the loader, at most.",
        more="Zero while Wazo's message bus tells of changes and all of them are read, and for definitions in files; "
        "else since everything was last read or looked at. Absent while this loader does not lead.",
    ),
    "rightcall_loader_faults": Description(
        "gauge",
        "Faults of the definitions, errors and warnings.",
        {"severity": {severity.value: "" for severity in Severity}},
        _LAST,
    ),
    "rightcall_loader_expectations": Description(
        "gauge",
        "Expectations of the definitions by what came of their proofs.",
        {"truth": TRUTHS},
        _LAST,
    ),
    "rightcall_loader_faulty_tenants": Description(
        "gauge",
        "Tenants that keep their last good rules because of faults.",
        more=f"Only those whose UUID could be read. {_LAST}",
    ),
    "rightcall_loader_held_back": Description(
        "gauge",
        "Removals that are too large to be believed and wait for a person.",
        more=f"`--accept-removal` confirms them. {_LAST}",
    ),
    "rightcall_loader_pinned_tenants": Description(
        "gauge",
        "Tenants that an operator rolled back.",
        more=f"They keep the revision that was chosen. {_LAST}",
    ),
    "rightcall_build_info": Description(
        "gauge", "Always 1; the label tells the version.", {"version": "the program's version"}
    ),
}
"""Every metric of our own, in the order of the manual; those of the process are prometheus_client's."""
