"""A tracking store behind an MLflow server, by its REST interface; the mlflow package is not needed.

Credentials are those that MLflow's own client takes: ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``, or
``MLFLOW_TRACKING_TOKEN``, or the file ``~/.mlflow/credentials``. They are sent to that server only, and written nowhere.
"""

from __future__ import annotations

import base64
import configparser
import json
import os
import ssl
from collections import defaultdict
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import unquote, urlencode, urlsplit

from ..exchange import Answer, Connection
from .artifacts import MAX_FILE, descend
from .errors import ExtractionError
from .tracking import (
    CONTEXT,
    PROMPTS,
    Artifact,
    Dataset,
    Experiment,
    LoggedModel,
    ModelVersion,
    Point,
    RegisteredModel,
    Run,
    Tags,
    in_order,
    measured,
    model_of_source,
)

Json = Any
SECONDS = 60.0
_PAGE = 100
_HISTORY = 10_000
_API, _AJAX = "/api/2.0/mlflow", "/ajax-api/2.0/mlflow"
_GONE = (404, 405, 501)
"""Answers of a server that has no such route; what it would say is left out."""
_BAD = 400
_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_MODEL_PREFIX = "LOGGED_MODEL_"


class RestStore:
    """A tracking store behind a server.

    Raises:
        ExtractionError: the URL is none, or the server does not answer as MLflow's does.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ExtractionError(f"{url!r} is no URL of a server; it looks like http://HOST:5000")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self._host = name if parts.port is None else f"{name}:{parts.port}"
        self._path = parts.path.rstrip("/")
        self.address = f"{parts.scheme}://{self._host}{self._path}"
        self.problems: List[str] = []
        self._authorization = _authorization(unquote(parts.username or ""), unquote(parts.password or ""))
        tls = _tls(os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")) if parts.scheme == "https" else None
        self._connection = Connection(parts.hostname, port, SECONDS, tls)

    def close(self) -> None:
        self._connection.close()

    # -- experiments and runs -------------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Experiment]:
        for each in self._paged("POST", "/experiments/search", "experiments", {"view_type": "ALL"}):
            yield Experiment(
                str(each["experiment_id"]),
                each.get("name", ""),
                each.get("artifact_location", ""),
                each.get("lifecycle_stage", "active"),
                _integer(each.get("creation_time")),
                _integer(each.get("last_update_time")),
                _pairs(each.get("tags")),
            )

    def count_runs(self) -> Optional[int]:
        return None

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        asked = {"experiment_ids": [experiment.id], "run_view_type": "ALL", "order_by": ["attributes.start_time ASC"]}
        for each in self._paged("POST", "/runs/search", "runs", asked):
            yield self._run(each, experiment)

    def _run(self, each: Mapping[str, Json], experiment: Experiment) -> Run:
        info, data = each["info"], each.get("data") or {}
        run_id = info.get("run_id") or info["run_uuid"]
        inputs, outputs = each.get("inputs") or {}, each.get("outputs") or {}
        tags = _pairs(data.get("tags"))
        return Run(
            run_id,
            info.get("run_name") or tags.get("mlflow.runName", ""),
            experiment.id,
            info.get("user_id") or None,
            info.get("status", "RUNNING"),
            _integer(info.get("start_time")),
            _integer(info.get("end_time")),
            info.get("lifecycle_stage", "active"),
            None,
            info.get("artifact_uri"),
            _pairs(data.get("params")),
            tags,
            {metric["key"]: self._history(run_id, metric["key"]) for metric in data.get("metrics", ())},
            [_dataset(one) for one in inputs.get("dataset_inputs", ())],
            [one["model_id"] for one in inputs.get("model_inputs", ())],
            [one["model_id"] for one in outputs.get("model_outputs", ())],
        )

    def _history(self, run_id: str, name: str) -> List[Point]:
        asked = {"run_id": run_id, "metric_key": name, "max_results": _HISTORY}
        points = [
            (int(each.get("timestamp", 0)), _float(each.get("value", 0.0)), int(each.get("step", 0)))
            for each in self._paged("GET", "/metrics/get-history", "metrics", asked)
        ]
        return in_order(points)

    # -- models ---------------------------------------------------------------------------------------------------

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        for each in self._paged(
            "POST", "/logged-models/search", "models", {"experiment_ids": [experiment.id]}, optional=True
        ):
            info, data = each["info"], each.get("data") or {}
            status = str(info.get("status", ""))
            yield LoggedModel(
                info["model_id"],
                experiment.id,
                info.get("name", ""),
                info.get("artifact_uri") or info.get("artifact_location"),
                _integer(info.get("creation_timestamp_ms")),
                _integer(info.get("last_updated_timestamp_ms")),
                status[len(_MODEL_PREFIX) :] if status.startswith(_MODEL_PREFIX) else status,
                info.get("lifecycle_stage", "active"),
                info.get("model_type") or None,
                info.get("source_run_id") or None,
                _pairs(data.get("params")),
                _pairs(info.get("tags")),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        versions: Dict[str, List[ModelVersion]] = defaultdict(list)
        for each in self._registered("/model-versions/search", "model_versions"):
            versions[each["name"]].append(_version(each))
        for each in self._registered("/registered-models/search", "registered_models"):
            aliases = {alias["alias"]: str(alias["version"]) for alias in each.get("aliases", ())}
            yield RegisteredModel(
                each["name"],
                _integer(each.get("creation_timestamp")),
                _integer(each.get("last_updated_timestamp")),
                each.get("description") or None,
                _pairs(each.get("tags")),
                aliases,
                sorted(versions.pop(each["name"], []), key=lambda version: int(version.version)),
            )

    def _registered(self, route: str, key: str) -> Iterator[Dict[str, Json]]:
        """Models, and the prompts that MLflow 3 keeps among them, which it lists only when it is asked for them."""
        yield from self._paged("GET", route, key, {}, optional=True)
        try:
            yield from self._paged("GET", route, key, {"filter": PROMPTS}, optional=True)
        except _Refused as error:
            if error.status != _BAD:  # MLflow 2 has no such filter
                raise

    # -- artifacts ------------------------------------------------------------------------------------------------

    def run_artifacts(self, run: Run) -> Iterator[Artifact]:
        """As the server lists them, from wherever it keeps them."""
        return self._artifacts(f"artifacts of run {run.id}", f"{_API}/artifacts/list", {"run_id": run.id}, "path")

    def model_artifacts(self, model: LoggedModel) -> Iterator[Artifact]:
        route = f"{_API}/logged-models/{model.id}/artifacts/directories"
        return self._artifacts(f"artifacts of model {model.id}", route, {}, "artifact_directory_path")

    def _artifacts(self, what: str, route: str, asked: Dict[str, str], name: str) -> Iterator[Artifact]:
        def folder(path: str) -> List[Artifact]:
            query = {**asked, name: path} if path else asked
            pages = self._pages("GET", route, query)
            return [
                Artifact(each["path"], bool(each.get("is_dir")), _integer(each.get("file_size")))
                for page in pages
                for each in page.get("files", ())
            ]

        try:
            yield from descend(folder)
        except _Refused as error:
            self.problems.append(f"{what} cannot be listed: {error}")

    def model_file(self, model: LoggedModel) -> Optional[str]:
        query = urlencode({"artifact_file_path": "MLmodel"})
        try:
            answer = self._ask("GET", f"{_AJAX}/logged-models/{model.id}/artifacts/files?{query}", None)
        except _Refused:
            return None
        return answer.body[:MAX_FILE].decode("utf-8", "replace")

    # -- asking ---------------------------------------------------------------------------------------------------

    def _paged(
        self, method: str, route: str, key: str, asked: Dict[str, Json], optional: bool = False
    ) -> Iterator[Dict[str, Json]]:
        """The items of all pages; with ``optional`` none where the server does not know the route."""
        size = {"max_results": asked.get("max_results", _PAGE)}
        try:
            for page in self._pages(method, _API + route, {**asked, **size}):
                yield from page.get(key, ())
        except _Refused as error:
            if not (optional and error.status in _GONE):
                raise

    def _pages(self, method: str, route: str, asked: Mapping[str, Json]) -> Iterator[Dict[str, Json]]:
        token = ""
        while True:
            given = {**asked, "page_token": token} if token else dict(asked)
            if method == "GET":
                query = urlencode(given, doseq=True)
                page = self._json(method, f"{route}?{query}" if query else route, None)
            else:
                page = self._json(method, route, given)
            yield page
            last, token = token, page.get("next_page_token") or ""
            if not token or token == last:
                return

    def _json(self, method: str, target: str, given: Optional[Mapping[str, Json]]) -> Dict[str, Json]:
        answer = self._ask(method, target, given)
        try:
            found = json.loads(answer.body)
            if isinstance(found, dict):
                return found
        except (ValueError, RecursionError):
            pass
        raise ExtractionError(f"{self.address} does not answer as an MLflow server does")

    def _ask(self, method: str, target: str, given: Optional[Mapping[str, Json]]) -> Answer:
        body = b"" if given is None else json.dumps(given).encode("utf-8")
        lines = [f"{method} {self._path}{target} HTTP/1.1", f"Host: {self._host}", "Accept: application/json"]
        lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
        lines += ["Content-Type: application/json"] if body else []
        lines += [f"Authorization: {self._authorization}"] if self._authorization else []
        try:
            self._connection.open()
            answer = self._connection.post(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"), body)
        except (OSError, ValueError) as error:
            raise ExtractionError(f"{self.address} cannot be asked: {error}") from error
        if answer.status == 200:
            return answer
        raise _Refused(self._refusal(answer), answer.status)

    def _refusal(self, answer: Answer) -> str:
        if answer.status in (401, 403):
            hint = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
            return f"{self.address} refuses ({answer.status}): {hint}"
        try:
            told = str(json.loads(answer.body).get("message", ""))
        except (ValueError, AttributeError, RecursionError):
            told = ""
        return f"{self.address} answers {answer.status}{f': {told[:300]}' if told else ''}"


class _Refused(ExtractionError):
    """The server says no."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Login(NamedTuple):
    user: str
    password: str


def _authorization(user: str, password: str) -> Optional[str]:
    """The header with the credentials: of the URL, of the environment, of MLflow's file."""
    login = _Login(user, password) if user else _of_environment()
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    if login is None and token:
        return f"Bearer {_one_line(token)}"
    login = login or _of_file(os.path.join(os.path.expanduser("~"), ".mlflow", "credentials"))
    if login is None:
        return None
    return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode("ascii")


def _one_line(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise ExtractionError("MLFLOW_TRACKING_TOKEN holds characters that no token has")
    return token


def _of_environment() -> Optional[_Login]:
    user = os.environ.get("MLFLOW_TRACKING_USERNAME")
    return _Login(user, os.environ.get("MLFLOW_TRACKING_PASSWORD", "")) if user else None


def _of_file(path: str) -> Optional[_Login]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeError, OSError) as error:
        raise ExtractionError(f"{path}: the credentials cannot be read") from error
    if not parser.has_option("mlflow", "mlflow_tracking_username"):
        return None
    return _Login(
        parser.get("mlflow", "mlflow_tracking_username"), parser.get("mlflow", "mlflow_tracking_password", fallback="")
    )


def _tls(authorities: Optional[str]) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise ExtractionError(f"MLFLOW_TRACKING_SERVER_CERT_PATH: {authorities}: {error}") from error


# -- what the server says ---------------------------------------------------------------------------------------------


def _pairs(given: Any) -> Tags:
    return {each["key"]: each.get("value", "") for each in given or ()}


def _integer(given: Any) -> Optional[int]:
    """Whole numbers come as numbers or as texts."""
    return None if given in (None, "") else int(given)


def _float(given: Any) -> float:
    return _NUMBERS[given] if given in _NUMBERS else measured(float(given))


def _dataset(given: Mapping[str, Json]) -> Dataset:
    data, tags = given["dataset"], _pairs(given.get("tags"))
    texts: Tuple[str, ...] = tuple(data.get(name, "") for name in ("name", "digest", "source_type", "source"))
    return Dataset(texts[0], texts[1], texts[2], texts[3], data.get("schema"), data.get("profile"), tags.get(CONTEXT))


def _version(given: Mapping[str, Json]) -> ModelVersion:
    source = given.get("source")
    return ModelVersion(
        given["name"],
        str(given["version"]),
        _integer(given.get("creation_timestamp")),
        _integer(given.get("last_updated_timestamp")),
        given.get("description") or None,
        given.get("user_id") or None,
        given.get("current_stage"),
        source,
        given.get("run_id") or None,
        given.get("model_id") or model_of_source(source),
        given.get("status"),
        _pairs(given.get("tags")),
    )
