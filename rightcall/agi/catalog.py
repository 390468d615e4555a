"""Every metric of the FastAGI adapter, with help text and label values; the source of docs/metrics.md."""

from __future__ import annotations

from pdp.runtime.metric import Description
from rightcall.agi.reasons import MEANINGS

VERDICTS = {"allow": "", "deny": ""}

PIN_RESULTS = {
    "right": "It opened the call.",
    "wrong": "It did not.",
    "locked": "The caller is locked out: there were too many wrong ones.",
    "delayed": "There were too many wrong ones of any callers; it was not looked at.",
    "none": "Nothing was dialled.",
    "impossible": "No PIN is like that: more than 40 keys, or A to D among them. It was not sent to the server.",
    "no-answer": "The server did not check it.",
}

ENDS = {
    "gone": "The caller hung up, or Asterisk closed the connection.",
    "silent": "Asterisk owed a reply and did not send it.",
    "protocol": "What connected does not speak AGI as Asterisk does.",
    "script": "The dialplan asked for a script that is not one of the adapter's.",
    "peer": "It came from a network that is not allowed.",
    "full": "There were too many dialogues, of this peer or in all.",
    "stopped": "The adapter was told to stop, and the time to drain was over.",
}

SHADOWED = {"allow": "", "deny": "", "challenge": "", "none": "There was no answer."}

METRICS: dict[str, Description] = {
    "rightcall_agi_calls_total": Description(
        "counter",
        "Calls that were given a verdict, by reason.",
        {"verdict": VERDICTS, "reason": {reason.value: meaning for reason, meaning in MEANINGS.items()}},
    ),
    "rightcall_agi_verdict_seconds": Description(
        "histogram",
        "Time from the connection to the verdict.",
        more="Of calls without a PIN, whose callers take their time. Buckets from 1 ms to 10 s, as of the next one.",
    ),
    "rightcall_agi_server_seconds": Description("histogram", "Time to the server's answer, or to the lack of one."),
    "rightcall_agi_server_up": Description(
        "gauge", "1 while the server answers health checks, 0 while it does not.", more="It is asked every 5 s."
    ),
    "rightcall_agi_pins_total": Description("counter", "PINs dialled, by result.", {"result": PIN_RESULTS}),
    "rightcall_agi_sounds_missing_total": Description("counter", "Prompts that Asterisk could not play."),
    "rightcall_agi_dialogues": Description("gauge", "Dialogues with Asterisk that are held now."),
    "rightcall_agi_dialogues_broken_total": Description(
        "counter", "Dialogues that ended without a verdict, by cause.", {"cause": ENDS}
    ),
    "rightcall_agi_shadowed_total": Description(
        "counter",
        "Calls that were compared in the shadow, by what the dialplan decided and by what the server answers.",
        {"dialplan": SHADOWED, "server": SHADOWED},
        more="Those where the two labels differ are in the log as `agi_shadow_differs`.",
    ),
    "rightcall_agi_stuck": Description(
        "gauge",
        "1 while the adapter has got round to nothing new for four seconds, else 0.",
        more="`/healthz` fails meanwhile, and after 20 s the adapter ends with exit code 70, so that Asterisk asks "
        "another one.",
    ),
    "rightcall_build_info": Description(
        "gauge", "Always 1; the label tells the version.", {"version": "the program's version"}
    ),
}
"""Every metric of our own, in the order of the manual; those of the process are prometheus_client's."""
