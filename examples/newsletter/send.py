"""A nightly job that writes to lapsed customers, each with the voucher of their arm. See README.md on how to run it."""

from __future__ import annotations

import sys
from collections import Counter

from offerlift.experiments import Assigner, Offer, Recorder, Snapshot

# A shop reads these from its database.
CUSTOMERS = [
    {"id": number, "days_since_purchase": number % 180, "newsletter": number % 5 != 0} for number in range(1, 1_001)
]


def main() -> int:
    """Send to everyone who is eligible, and record that they were."""
    # A job may stop where a web server must not: strict raises for a misspelt experiment.
    assigner = Assigner(Snapshot.load("offers.json"), strict=True)
    sent: Counter[str] = Counter()
    # Leaving the block delivers what is still queued.
    with Recorder("sqlite:///crm.db") as recorder:
        for customer in CUSTOMERS:
            assignment = assigner.assign("win-back", customer["id"], customer)
            if assignment.reason != "SPLIT":
                continue
            send(customer["id"], assignment.offer)
            # The control is exposed at the same point, without an e-mail.
            recorder.expose(assignment)
            sent[assignment.arm] += 1
        if not recorder.flush(timeout=30):
            print("not everything was delivered:", recorder.stats(), file=sys.stderr)
            return 3
    print(*(f"{arm}: {count}" for arm, count in sorted(sent.items())), sep="\n")
    return 0


def send(customer: int, offer: Offer | None) -> None:
    """Hand the e-mail to the shop's mailer."""


if __name__ == "__main__":
    sys.exit(main())
