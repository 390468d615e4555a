"""Asks Rightcall whether a call may be made, and for the PIN where one is needed.

python call.py --server localhost:50051 --caller alice --extension 0033123456789 --outcall 2

Ends with 0 where the call may go ahead, 1 where it may not, 2 where there is no decision.
"""

from __future__ import annotations

import argparse
import os
import sys

from rightcall import Client, Decision, InvalidCall, NoAnswer, RightcallError


def main() -> int:
    """The program; returns the exit code."""
    options = argparse.ArgumentParser(description="May this call be made?")
    options.add_argument("--server", default="localhost:50051")
    options.add_argument("--ca", help="PEM file of the authority to trust; without it there is no TLS")
    options.add_argument("--caller", default="")
    options.add_argument("--extension", required=True)
    options.add_argument("--outcall", default="")
    options.add_argument("--emergency", default="112,911", help="numbers that are called without a decision")
    chosen = options.parse_args()
    with Client(
        chosen.server,
        timeout=0.3,  # a caller who waits for a dial tone waits no longer
        ca_file=chosen.ca,
        token=os.environ.get("RIGHTCALL_TOKEN"),
        emergency=chosen.emergency.split(","),
    ) as client:
        try:
            client.healthy(timeout=1)  # connects, so that the first call does not wait for it
        except NoAnswer as error:
            print(f"the server is away: {error}", file=sys.stderr)
        try:
            return 0 if may_call(client, chosen.caller, chosen.extension, chosen.outcall) else 1
        except RightcallError as error:
            print(f"no decision: {error}")
            return 2


def may_call(client: Client, caller: str, extension: str, outcall: str) -> bool:
    """Whether the call may go ahead, after a PIN where one is needed."""
    answer = client.check(caller=caller, extension=extension, outcall=outcall)
    print(answer.decision.name, f"REASON_{answer.reason.name}", answer.permission.name if answer.permission else "")
    if answer.decision is Decision.CHALLENGE and answer.challenge:
        return opens(client, answer.challenge)
    return answer.allowed


def opens(client: Client, challenge: str) -> bool:
    """Whether a PIN is typed that opens the call."""
    print("PIN?")
    for line in sys.stdin:
        try:
            answer = client.answer_challenge(challenge, line.strip())
        except InvalidCall:  # no PIN at all: that was no attempt
            continue
        print(answer.decision.name)
        if answer.allowed or not answer.attempts_left:
            return answer.allowed
    return False


if __name__ == "__main__":
    sys.exit(main())
