"""``pllib runs``: the runs of experiments as a table, one of them in full, what differs among several, and their series."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

from .command_line import add_command, print_table
from .errors import ConfigurationError
from .line_plot import Line, sparkline, svg
from .mlflow.commands import add_model
from .query import Client
from .query_options import add_query_options, query_client

Row = Dict[str, Any]
MOST_COLUMNS = 12
"""Columns of parameters and metrics that a table has; CSV has all."""
SPARKLINE = 60
SECTIONS = ("parameters", "tags", "code", "datasets", "packages", "environment")


def add_commands(commands: Any) -> None:
    """Adds ``pllib runs`` with its subcommands."""
    text = "Runs of experiments: lists and ranks them, shows one, compares several, draws their series."
    example = "pllib runs list --experiment digits --metric loss --context validation"
    parser = add_command(commands, "runs", _no_action, text, example)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _add_list(actions)
    _add_show(actions)
    _add_compare(actions)
    _add_series(actions)
    add_model(actions)


def _no_action(chosen: argparse.Namespace) -> int:
    raise ConfigurationError("say what to do: list, show, compare, series or model")


def _add_format(parser: argparse.ArgumentParser, *formats: str) -> None:
    parser.add_argument("--format", choices=("table", *formats), default="table", help="default: table")
    add_query_options(parser)


# -- list -------------------------------------------------------------------------------------------------------------


def _add_list(actions: Any) -> None:
    text = "Lists runs, newest first; with --metric ranked by that, least first."
    parser = add_command(actions, "list", list_runs, text, "pllib runs list --param lr=0.1 --metric loss")
    for name in ("experiment", "study", "person"):
        parser.add_argument(f"--{name}", help=f"only runs of this {name}")
    parser.add_argument("--status", choices=("running", "finished", "failed"))
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="only runs with this value")
    parser.add_argument("--metric", help="rank by this metric; runs without it are left out")
    parser.add_argument("--context", help="the metric in this part of the runs, such as validation")
    parser.add_argument("--by", choices=("latest", "minimum", "maximum"), help="what of the metric (default: latest)")
    parser.add_argument("--order", choices=("asc", "desc"), help="least or greatest (oldest or newest) first")
    parser.add_argument("--limit", type=int, default=20, help="at most so many runs (default: 20)")
    _add_format(parser, "json", "csv")


def list_runs(chosen: argparse.Namespace) -> int:
    if chosen.limit < 1:
        raise ConfigurationError(f"--limit is {chosen.limit}; it counts runs, from 1")
    names = ("experiment", "study", "person", "status", "metric", "context", "by", "order")
    filters = {name: getattr(chosen, name) for name in names if getattr(chosen, name) is not None}
    found: List[Row] = []
    for run in query_client(chosen).runs(params=_pairs(chosen.param), limit=min(chosen.limit, 1000), **filters):
        found.append(run)
        if len(found) == chosen.limit:
            break
    if chosen.format == "json":
        for run in found:
            print(json.dumps(run, ensure_ascii=False))
    elif chosen.format == "csv":
        flat = [_flat(run) for run in found]
        columns = list(dict.fromkeys(name for row in flat for name in row))
        _write_csv(columns, ([row.get(name) for name in columns] for row in flat))
    else:
        _print_runs(found)
    return 0


def _pairs(given: Sequence[str]) -> Dict[str, str]:
    pairs = [pair.partition("=") for pair in given]
    wrong = [name for name, sign, _ in pairs if not sign or not name]
    if wrong:
        raise ConfigurationError(f"parameters are given as NAME=VALUE; {wrong[0]!r} is not")
    return {name: value for name, _, value in pairs}


def _flat(run: Row) -> Row:
    """A run as one row with a column for each of its parameters, tags and metrics."""
    row = {"run": _short(run["id"]), **{name: run[name] for name in ("status", "started", "ended", "duration")}}
    for kind in ("parameters", "tags"):
        row.update({f"{kind}.{name}": value for name, value in run[kind].items()})
    for metric in run["metrics"]:
        for what in ("latest", "minimum", "maximum", "last_step"):
            row[f"metrics.{_metric_name(metric)}.{what}"] = metric[what]
    return row


def _print_runs(runs: Sequence[Row]) -> None:
    parameters = list(dict.fromkeys(name for run in runs for name in run["parameters"]))
    metrics = list(dict.fromkeys(_metric_name(metric) for run in runs for metric in run["metrics"]))
    room = max(MOST_COLUMNS - len(metrics), MOST_COLUMNS // 2)
    columns = [*parameters[:room], *metrics[: MOST_COLUMNS - len(parameters[:room])]]
    rows = []
    for run in runs:
        told = {**run["parameters"], **{_metric_name(metric): metric["latest"] for metric in run["metrics"]}}
        head = [_short(run["id"]), run["status"], _second(run["started"]), run["duration"]]
        rows.append([*head, *(told.get(name) for name in columns)])
    print_table(["run", "status", "started", "seconds", *columns], rows)
    left_out = len(parameters) + len(metrics) - len(columns)
    if left_out:
        print(f"pllib runs: {left_out} columns are left out; --format csv has all", file=sys.stderr)


# -- show -------------------------------------------------------------------------------------------------------------


def _add_show(actions: Any) -> None:
    text = "Shows one run: parameters, metrics, models, data, code, environment, sessions."
    parser = add_command(actions, "show", show, text, "pllib runs show digits/9f2c-1")
    parser.add_argument("of", metavar="EXPERIMENT/RUN", help="the run's id")
    _add_format(parser, "json")


def show(chosen: argparse.Namespace) -> int:
    run = query_client(chosen).run(chosen.of)
    if chosen.format == "json":
        print(json.dumps(run, ensure_ascii=False, indent=1))
        return 0
    error = run["error"] or {}
    head = {
        "status": run["status"],
        "error": " ".join(filter(None, (error.get("type"), error.get("message")))),
        "started": run["started"],
        "ended": run["ended"],
        "seconds": run["duration"],
        "studies": ", ".join(run["studies"]),
        "agents": ", ".join(run["agents"]),
        "within": ", ".join(run["within"]),
    }
    print_table(["run", _short(run["id"])], [[name, value] for name, value in head.items() if value not in (None, "")])
    for title, columns, rows in _sections(run):
        if rows:
            print(f"\n{title}")
            print_table(columns, rows)
    if run["truncated"]:
        print("pllib runs: there is more than is shown", file=sys.stderr)
    return 0


def _sections(run: Row) -> Iterable[Any]:
    """Titles, columns and rows of the tables that show a run."""
    yield "Parameters", ["name", "value"], _named(run["parameters"])
    yield "Tags", ["name", "value"], _named(run["tags"])
    of_series = ["latest", "minimum", "maximum", "unit", "last_step"]
    for title, kind in (("Metrics", "metrics"), ("Readings of the machine", "telemetry")):
        rows = [[_metric_name(series), *(series[name] for name in of_series)] for series in run[kind]]
        yield title, ["name", *of_series], rows
    energy = [[name, told["value"], told["unit"]] for name, told in run["energy"].items()]
    yield "Energy and carbon", ["name", "value", "unit"], energy
    for title, kind in (("Models", "models"), ("Data sets", "datasets"), ("Artifacts", "artifacts"), ("Code", "code")):
        yield title, ["name", "context", "role", "data", "version", "facts"], [_item(item) for item in run[kind]]
    yield "Other values", ["name", "value"], [[", ".join(item["names"]), item["value"]] for item in run["values"]]
    contexts = [[part["transformation"], part["status"], part["duration"]] for part in run["contexts"]]
    yield "Contexts", ["name", "status", "seconds"], contexts
    sessions = [[part["rank"], part["process"], part["status"], _second(part["started"])] for part in run["parts"]]
    yield "Sessions", ["rank", "process", "status", "started"], sessions
    yield "Nested runs", ["run", "status"], [[_short(inner["id"]), inner["status"]] for inner in run["nested"]]


def _named(values: Row) -> List[List[Any]]:
    return [[name, value] for name, value in values.items()]


def _item(item: Row) -> List[Any]:
    data = item["data"] or {}
    facts = " ".join(f"{name}={value}" for name, value in item["facts"].items())
    where = "/".join(filter(None, (data.get("store"), data.get("key")))) if data else item["value"]
    return [", ".join(item["names"]), item["context"], item["role"], where, data.get("version"), facts]


# -- compare ----------------------------------------------------------------------------------------------------------


def _add_compare(actions: Any) -> None:
    text = "Shows what differs among runs, and their metrics."
    parser = add_command(actions, "compare", compare, text, "pllib runs compare digits/9f2c-1 digits/9f2c-2")
    parser.add_argument("runs", metavar="EXPERIMENT/RUN", nargs="+", help="ids of the runs")
    _add_format(parser, "json", "csv")


def compare(chosen: argparse.Namespace) -> int:
    found = query_client(chosen).compare(chosen.runs)
    if chosen.format == "json":
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return 0
    columns = ["what", "name", *(_short(run) for run in found["runs"])]
    rows = [[kind, each["name"], *each["values"]] for kind in SECTIONS for each in found[kind]]
    for metric in found["metrics"]:
        rows += [[what, _metric_name(metric), *metric[what]] for what in ("latest", "minimum", "maximum")]
    if chosen.format == "csv":
        _write_csv(columns, rows)
        return 0
    print_table(columns, rows)
    same = ", ".join(f"{count} {kind}" for kind, count in found["same"].items() if count)
    if same:
        print(f"the same in all: {same}")
    return 0


# -- series -----------------------------------------------------------------------------------------------------------


def _add_series(actions: Any) -> None:
    text = "Shows the points of a series of one run, or of several runs side by side. --svg draws them."
    example = "pllib runs series loss digits/9f2c-1 digits/9f2c-2 --context validation --svg loss.svg"
    parser = add_command(actions, "series", series, text, example)
    parser.add_argument("name", help="name of the series")
    parser.add_argument("runs", metavar="EXPERIMENT/RUN", nargs="+", help="ids of the runs")
    parser.add_argument("--context", help="part of the runs that it belongs to, such as validation")
    parser.add_argument("--points", type=int, default=1000, help="at most so many (default: 1000)")
    parser.add_argument("--method", choices=("lttb", "minmax", "every"), help="how they are chosen, of one run")
    parser.add_argument("--x", choices=("step", "time"), default="step", help="what orders them, of one run")
    parser.add_argument("--from-step", type=int, help="from this step on")
    parser.add_argument("--to-step", type=int, help="up to this step")
    parser.add_argument("--svg", metavar="FILE", help="draw them")
    _add_format(parser, "json", "csv")


def series(chosen: argparse.Namespace) -> int:
    several = len(chosen.runs) > 1
    if several and (chosen.method is not None or chosen.x == "time"):
        raise ConfigurationError("--method and --x are for one run; several are aligned by step")
    options = {name: getattr(chosen, name) for name in ("points", "from_step", "to_step")}
    ask: Callable[[argparse.Namespace, Client, Row], _Shown] = _several if several else _one
    found = ask(chosen, query_client(chosen), options)
    if chosen.svg is not None:
        _draw(chosen, found)
    elif chosen.format == "json":
        print(json.dumps(found.answer, ensure_ascii=False))
    elif chosen.format == "csv":
        _write_csv(found.columns, found.rows)
    else:
        _print_series(found)
    return 0


class _Shown(NamedTuple):
    """Series in the forms that they are shown in.

    Attributes:
        answer: as JSON has it.
        columns, rows: the table of points.
        lines: what is drawn, a line a run.
        about: what is known of the series as a whole, by the name of its line.
        told: how the points were chosen or put together.
        unit: of the values.
    """

    answer: Row
    columns: List[str]
    rows: List[List[Any]]
    lines: List[Line]
    about: Dict[str, Row]
    told: str
    unit: Optional[str]


def _one(chosen: argparse.Namespace, client: Client, options: Row) -> _Shown:
    """The series of one run: the answer, its table, and its lines."""
    (run,) = chosen.runs
    context = chosen.context
    if context is None:
        context = _only_context(client, run, chosen.name)
    answer = client.series(run, chosen.name, context=context, method=chosen.method, x=chosen.x, **options)
    times = [_seconds(text) for text in answer["times"]] if chosen.x == "time" else []
    xs = [time - times[0] for time in times] if chosen.x == "time" else answer["steps"]
    line = Line(_short(run), xs, answer["values"])
    rows = [[*row] for row in zip(answer["steps"], answer["times"], answer["values"])]
    return _Shown(
        answer={**answer, "values": [_json(value) for value in answer["values"]]},
        columns=["step", "time", "value"],
        rows=rows,
        lines=[line],
        about={line.name: answer["series"]},
        told=f"{answer['returned']} of {answer['total']} points" + _chosen_by(answer),
        unit=answer["series"]["unit"],
    )


def _only_context(client: Client, run: str, name: str) -> Optional[str]:
    """The context of the one series of that name; ``None`` where the run itself has it, or nothing of that name is there."""
    contexts = [found["context"] for found in client.run_series(run, name=name)]
    if len(contexts) > 1 and None not in contexts:
        raise ConfigurationError(f"{run} has {name} in several contexts: say --context {' or '.join(contexts)}")
    return None if None in contexts or not contexts else str(contexts[0])


def _several(chosen: argparse.Namespace, client: Client, options: Row) -> _Shown:
    answer = client.compare(chosen.runs, chosen.name, context=chosen.context, **options)
    lines = [Line(_short(each["run"]), answer["steps"], each["values"]) for each in answer["runs"]]
    width = answer["width"]
    wide = "each row is a step" if width is None else f"each row is {width} steps, of which the mean is told"
    names = ("values", "minimum", "maximum")
    told = [{**each, **{name: [_json(value) for value in each[name]] for name in names}} for each in answer["runs"]]
    return _Shown(
        answer={**answer, "runs": told},
        columns=["step", *(line.name for line in lines)],
        rows=[[*row] for row in zip(answer["steps"], *(line.values for line in lines))],
        lines=lines,
        about={_short(each["run"]): each["series"] for each in answer["runs"]},
        told=wide,
        unit=answer["runs"][0]["series"]["unit"],
    )


def _chosen_by(answer: Row) -> str:
    strange = ", ".join(f"{count} {name}" for name, count in answer["non_finite"].items())
    return (f", chosen by {answer['method']}" if answer["downsampled"] else "") + (f"; {strange}" if strange else "")


def _draw(chosen: argparse.Namespace, found: _Shown) -> None:
    label = chosen.name + (f" [{found.unit}]" if found.unit else "")
    across = "seconds since the first point" if chosen.x == "time" else "step"
    title = f"{chosen.context}: {chosen.name}" if chosen.context else chosen.name
    if len(found.lines) == 1:
        title += f" of {found.lines[0].name}"
    with open(chosen.svg, "w", encoding="utf-8") as file:
        file.write(svg(found.lines, title, across, label))


def _print_series(found: _Shown) -> None:
    plain = not _can_print("▁█")
    rows = []
    for line in found.lines:
        about = found.about[line.name]
        course = sparkline(line.values, SPARKLINE, plain)
        rows.append([line.name, *(about[name] for name in ("latest", "minimum", "maximum", "last_step")), course])
    print_table(["run", "latest", "minimum", "maximum", "last_step", ""], rows)
    print(found.told)


def _can_print(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


# -- all --------------------------------------------------------------------------------------------------------------


def _short(identifier: str) -> str:
    """A run's id without what all runs' begin with."""
    return identifier[len("execution/") :] if identifier.startswith("execution/") else identifier


def _metric_name(metric: Row) -> str:
    return f"{metric['context']}/{metric['name']}" if metric["context"] else str(metric["name"])


def _second(time: Optional[str]) -> Optional[str]:
    """A time without the parts of its second."""
    return None if time is None else time[:19].replace("T", " ")


def _seconds(time: str) -> float:
    parsed = datetime.strptime(time, "%Y-%m-%dT%H:%M:%S.%fZ")
    return parsed.replace(tzinfo=timezone.utc).timestamp()


def _json(value: Any) -> Any:
    """A number as JSON has it: NaN and the infinities as text."""
    if not isinstance(value, float) or value - value == 0:
        return value
    return "NaN" if value != value else "INF" if value > 0 else "-INF"


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if cell is None else _json(cell) for cell in row])
