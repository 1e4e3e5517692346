"""The plan: the services, their order, their commands."""

from __future__ import annotations

from pathlib import Path

from deploy.commands import ready_text
from deploy.plan import Ports, Settings, addresses, folders, services
from deploy.stores import Oxigraph

DATA = Path("/srv/pllib")
OXIGRAPH = Oxigraph("/venv/oxigraph")


def options(command: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(command, command[1:]) if name.startswith("--")}


def test_each_service_comes_after_those_it_leans_on():
    plan = services(Settings(DATA), "/venv/python", OXIGRAPH)
    assert [service.name for service in plan] == ["store", "manager", "query_engine", "tracker"]


def test_commands_of_the_default_stack():
    store, manager, query, tracker = (one.command for one in services(Settings(DATA), "/venv/python", OXIGRAPH))
    assert store[:2] == ("/venv/oxigraph", "serve")
    assert options(store) == {"--location": "/srv/pllib/store", "--bind": "127.0.0.1:8473", "--timeout-s": "30"}
    assert manager[:3] == ("/venv/python", "-m", "manager")
    assert options(manager) == {
        "--host": "127.0.0.1",
        "--port": "8471",
        "--store-url": "http://127.0.0.1:8473",
        "--store-kind": "oxigraph",
    }
    assert query[:3] == ("/venv/python", "-m", "query_engine")
    assert options(query) == {
        "--host": "127.0.0.1",
        "--port": "8472",
        "--store-url": "http://127.0.0.1:8473",
        "--store-kind": "oxigraph",
        "--data": "/srv/pllib/query",
    }
    assert tracker[:3] == ("/venv/python", "-m", "tracker")
    assert options(tracker) == {
        "--host": "127.0.0.1",
        "--port": "8470",
        "--manager-url": "http://127.0.0.1:8471",
        "--data": "/srv/pllib/tracker",
    }


def test_ports_and_base_reach_everyone_who_needs_them():
    settings = Settings(DATA, Ports(1, 2, 3, 4), base="https://example.org/p/")
    store, manager, query, tracker = services(settings, "python", OXIGRAPH)
    assert [one.port for one in (tracker, manager, query, store)] == [1, 2, 3, 4]
    assert store.health_url == "http://127.0.0.1:4/query?query=ASK%7B%7D"
    assert tracker.health_url == "http://127.0.0.1:1/health"
    for one in (manager, query):
        assert options(one.command)["--base"] == "https://example.org/p/"
        assert options(one.command)["--store-url"] == "http://127.0.0.1:4"
    assert options(tracker.command)["--manager-url"] == "http://127.0.0.1:2"
    assert "--base" not in tracker.command


def test_the_queue_of_the_tracker():
    tracker = services(Settings(DATA, queue="redis://q:6379/0", keep_delivered=0), "python", OXIGRAPH)[-1]
    assert options(tracker.command)["--queue"] == "redis://q:6379/0"
    assert options(tracker.command)["--keep-delivered"] == "0"


def test_for_other_machines_the_tracker_and_the_query_engine_listen_elsewhere_and_want_a_token():
    settings = Settings(DATA, host="node7", token_file=Path("/srv/token"))
    store, manager, query, tracker = services(settings, "python", OXIGRAPH)
    assert (store.url, manager.url) == ("http://127.0.0.1:8473", "http://127.0.0.1:8471")
    assert (tracker.url, query.health_url) == ("http://node7:8470", "http://node7:8472/health")
    for one in (query, tracker):
        assert options(one.command)["--host"] == "node7"
        assert options(one.command)["--token-file"] == "/srv/token"
    assert options(manager.command)["--host"] == "127.0.0.1"
    assert "--token-file" not in options(manager.command)
    assert "PLLIB_TOKEN_FILE=/srv/token" in ready_text(DATA, addresses([tracker, query]), "/srv/token")


def test_with_an_outside_store_none_is_started():
    settings = Settings(DATA, store_url="http://triples:3030/ds")
    plan = services(settings, "python", None)
    assert [service.name for service in plan] == ["manager", "query_engine", "tracker"]
    assert options(plan[0].command)["--store-url"] == "http://triples:3030/ds"
    assert DATA / "store" not in folders(settings, None)
    assert addresses(plan, settings.store_url)["store"] == "http://triples:3030/ds"


def test_what_is_told_when_all_is_ready_names_every_way_in():
    text = ready_text(DATA, addresses(services(Settings(DATA), "python", OXIGRAPH)))
    assert "export PLLIB_URL=http://127.0.0.1:8470" in text
    assert "http://127.0.0.1:8472/sparql" in text
    assert "http://127.0.0.1:8472/docs" in text
    assert "/srv/pllib" in text
