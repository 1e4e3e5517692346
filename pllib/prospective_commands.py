"""``pllib prospective``: a workflow's plan, drafted from its runs, corrected by hand, sent to the tracker, compared, drawn."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Dict, Optional
from urllib.parse import quote

from .addresses import tracker_of
from .command_line import add_command, settings_of
from .errors import ConfigurationError, PllibError
from .plans import differences
from .query import get_json, post_json
from .query_options import add_query_options, query_client

Json = Dict[str, Any]


def add_commands(commands: Any) -> None:
    """Adds ``pllib prospective`` with its subcommands."""
    text = "Plans of workflows (prospective provenance). They are drafted from runs, so nobody writes one from scratch."
    parser = add_command(commands, "prospective", _no_action, text, "pllib prospective draft train -o train.json")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_draft(actions)
    _add_push(actions)
    _add_validate(actions)
    _add_draw(actions)


def _no_action(chosen: argparse.Namespace) -> int:
    raise ConfigurationError("say what to do: draft, push, validate or draw")


def _add_draft(actions: Any) -> None:
    text = "Drafts the plan of a workflow from all that was captured of it. Correct it, then push it."
    parser = add_command(actions, "draft", draft, text, "pllib prospective draft train -o train.json")
    parser.add_argument("workflow", help="name of the workflow")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there (default: standard output)")
    add_query_options(parser)


def draft(chosen: argparse.Namespace) -> int:
    found = query_client(chosen).draft(chosen.workflow)
    _write(json.dumps(found, indent=2, ensure_ascii=False) + "\n", chosen.output)
    return 0


def _add_push(actions: Any) -> None:
    text = "Sends a plan to the tracker, where it holds for all records that come later. Says which version it is."
    parser = add_command(actions, "push", push, text, "pllib prospective push train.json")
    parser.add_argument("file", help="the plan, JSON; - for standard input")
    _add_tracker_options(parser)
    parser.add_argument("--timeout", type=float, help="seconds to wait for an answer (PLLIB_TIMEOUT; default 10)")


def push(chosen: argparse.Namespace) -> int:
    settings = settings_of(chosen)
    plan = _read(chosen.file)
    address = tracker_of(settings)
    kept = post_json(address.url, "/v1/prospective", plan, timeout=settings.timeout, token=address.token)
    print(f"{kept['workflow']}: version {kept['version']}")
    return 0


def _add_validate(actions: Any) -> None:
    text = (
        "Compares a plan with what the workflow's runs have shown: what they did that is not planned, what is planned\n"
        "and no run did, values of other types. Exit code 1 where there is something to tell."
    )
    parser = add_command(actions, "validate", validate, text, "pllib prospective validate train.json")
    parser.add_argument("plan", metavar="FILE|WORKFLOW", help="a plan's file, or a workflow whose plan the tracker has")
    _add_tracker_options(parser)
    add_query_options(parser)


def validate(chosen: argparse.Namespace) -> int:
    plan = _read(chosen.plan) if os.path.exists(chosen.plan) else _in_force(chosen)
    if not isinstance(plan.get("workflow"), str):
        raise ConfigurationError(f"{chosen.plan} names no workflow: a plan has the field `workflow`")
    told = list(differences(plan, query_client(chosen).draft(plan["workflow"])))
    for line in told:
        print(line)
    if not told:
        print(f"{plan['workflow']}: all runs are as planned")
    return 1 if told else 0


def _in_force(chosen: argparse.Namespace) -> Json:
    settings = settings_of(chosen)
    path = "/v1/prospective/" + quote(chosen.plan, safe="")
    address = tracker_of(settings)
    found: Json = get_json(address.url, path, timeout=settings.timeout, token=address.token)["specification"]
    return found


def _add_draw(actions: Any) -> None:
    text = "Draws the plan of a workflow: its transformations, and the attributes that go from one to the other."
    parser = add_command(actions, "draw", draw, text, "pllib prospective draw train -o train.svg")
    parser.add_argument("workflow", help="name of the workflow")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="FILE.svg or FILE.dot")
    add_query_options(parser)


def draw(chosen: argparse.Namespace) -> int:
    form = os.path.splitext(chosen.output)[1][1:].lower()
    if form not in ("svg", "dot"):
        raise ConfigurationError(f"{chosen.output} ends neither in .svg nor in .dot")
    _write(query_client(chosen).drawing(chosen.workflow, form), chosen.output)
    return 0


def _add_tracker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="tracker (PLLIB_URL; default http://127.0.0.1:8470)")


def _write(text: str, path: Optional[str]) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _read(path: str) -> Json:
    """The JSON object in a file.

    Raises:
        PllibError: it holds none.
    """
    try:
        if path == "-":
            found = json.load(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                found = json.load(file)
    except ValueError as error:
        raise PllibError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PllibError(f"{path} is no JSON object")
    return found
