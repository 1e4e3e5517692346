"""The tracker's work queue, for those who run it: look at it, deliver again what was given up, drain it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from deploy.errors import FolderUnusable, ServiceUnreachable
from deploy.http_calls import Endpoint, call, call_json, pages
from deploy.progress import Progress

POLL_SECONDS = 0.2
SHOWN_PRODUCERS = 20
SHOWN_TEXT = 300

Report = Callable[[str], None]


def show(tracker: Endpoint, report: Report) -> int:
    """Tells how the queue is: depths, age, what was given up, what producers say."""
    stats = call_json("GET", tracker, "/v1/stats")
    queue = stats["queue"]
    depths = " + ".join(str(depth) for depth in queue["depths"])
    rows = [
        ("waiting", queue["depth"], f"by partition {depths}; the oldest for {queue['oldest_seconds']:.1f} s"),
        ("kept", queue["kept"], "delivered, and delivered again should power fail now"),
        ("dead letters", stats["dead_letters"], "see `python -m deploy dead-letters`" if stats["dead_letters"] else ""),
        ("quarantined", stats["quarantined"], "see `python -m deploy quarantine`" if stats["quarantined"] else ""),
    ]
    report(
        f"queue of the tracker at {tracker.url}" + ("; it drains and takes no captures" if stats["draining"] else "")
    )
    for name, count, words in rows:
        report(f"  {name:<13}{count:>10,}  {words}".rstrip())
    _show_producers(tracker, stats["producers"], report)
    return 0


def _show_producers(tracker: Endpoint, totals: Mapping[str, Any], report: Report) -> None:
    dropped = ", ".join(f"{count:,} ({reason})" for reason, count in totals["dropped"].items()) or "none"
    report(f"producers: {totals['seen']:,}; records they still have: {totals['waiting']:,}; they dropped: {dropped}")
    page = call_json("GET", tracker, f"/v1/producers?limit={SHOWN_PRODUCERS}")
    for one in page["producers"]:
        told = one["accounting"]
        says = (
            f"accepted {told['accepted']:,}, delivered {told['delivered']:,}, waiting {told['waiting']:,}, "
            f"dropped {sum(told['dropped'].values()):,}"
            if told
            else "says nothing of itself"
        )
        report(f"  {one['id']}  received {one['received']:,}, last {_time(one['last_seen'])}; {says}")
    if page["next"] is not None:
        report(f"  … more: GET {tracker.url}/v1/producers?after={page['next']}")


def list_dead_letters(tracker: Endpoint, report: Report) -> int:
    """Tells of each document that was given up, a line each."""
    count = 0
    for letter in pages(tracker, "/v1/dead-letters", "dead_letters"):
        count += 1
        report(
            f"{letter['id']}  {_time(letter['died'])}  {letter['size']:,} bytes, {letter['deliveries']} deliveries  "
            f"{letter['reason'][:SHOWN_TEXT]}"
        )
    report(f"{count:,} dead letters" if count else "no dead letters")
    return 0


def show_dead_letter(tracker: Endpoint, identifier: str, report: Report) -> int:
    """Tells one document in full."""
    body = call("GET", f"{tracker.url}/v1/dead-letters/{quote(identifier, safe='')}", access=tracker.access)
    report(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    return 0


def replay_dead_letters(tracker: Endpoint, identifiers: Sequence[str], report: Report) -> int:
    """Has dead letters delivered again: these, or all."""
    body = {"ids": list(identifiers)} if identifiers else None
    replayed = call_json("POST", tracker, "/v1/dead-letters/replay", body)["replayed"]
    missing = len(set(identifiers)) - replayed
    report(f"{replayed:,} wait for delivery again" + (f"; {missing:,} are no dead letters" if missing > 0 else ""))
    return 1 if missing > 0 else 0


def export_dead_letters(tracker: Endpoint, file: Path, report: Report) -> int:
    """Writes all dead letters to a file, a line of JSON each, with `document` in it."""
    progress = Progress("dead letters", "written", report)
    try:
        with file.open("xb") as out:
            for letter in pages(tracker, "/v1/dead-letters", "dead_letters"):
                where = f"{tracker.url}/v1/dead-letters/{quote(letter['id'], safe='')}"
                body = call("GET", where, access=tracker.access)
                out.write(json.dumps({**letter, "document": json.loads(body)}).encode() + b"\n")
                progress.add(1)
    except OSError as error:
        raise FolderUnusable(f"{file} cannot be written ({error.strerror})", "name another new file") from error
    report(f"{progress.count:,} dead letters are in {file}")
    return 0


def list_quarantine(tracker: Endpoint, report: Report) -> int:
    """Tells of each record that was refused for good: what is wrong, and the record."""
    count = 0
    for record in pages(tracker, "/v1/quarantine", "quarantined"):
        count += 1
        report(f"{record['id']}  {_time(record['refused'])}  producer {record['producer']}")
        report(f"    {record['field']}: {record['message'][:SHOWN_TEXT]}")
        report(f"    {record['body'][:SHOWN_TEXT]}")
    report(f"{count:,} refused records" if count else "no refused records")
    return 0


def drain(tracker: Endpoint, timeout: float, report: Report) -> int:
    """Has the tracker take no more captures, and waits until all it has is delivered: 0 then, 1 after `timeout` seconds.

    It goes on draining either way.
    """
    state = call_json("POST", tracker, "/v1/drain")
    report(f"the tracker takes no more captures; {state['waiting']:,} documents wait for delivery")
    progress = Progress("draining", "", report)
    until = time.monotonic() + timeout
    while not state["drained"]:
        if time.monotonic() >= until:
            report(
                f"{state['waiting']:,} documents still wait after {timeout:g} s. They are safe in the queue. "
                "`python -m deploy drain --resume` takes captures again"
            )
            return 1
        time.sleep(POLL_SECONDS)
        state = _drain_again(tracker, state)
        progress.tick(f"{state['waiting']:,} wait")
    report("drained: nothing waits")
    return 0


def _drain_again(tracker: Endpoint, last: dict[str, Any]) -> dict[str, Any]:
    """The state now. Asks anew each time, since a tracker that was started again takes captures."""
    try:
        state: dict[str, Any] = call_json("POST", tracker, "/v1/drain")
    except ServiceUnreachable:
        return last
    return state


def resume(tracker: Endpoint, report: Report) -> int:
    """Has the tracker take captures again."""
    call_json("DELETE", tracker, "/v1/drain")
    report("the tracker takes captures again")
    return 0


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")
