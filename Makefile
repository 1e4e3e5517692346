# Every target does all its own set-up: it finds a Python, makes .venv and installs what it needs, once.

SHELL := /bin/sh
.DEFAULT_GOAL := help
STORE_TESTS := tests/end_to_end $(addprefix tests/integration/test_,lineage_rest.py query_rest.py query_sparql.py \
	query_client.py exports.py analyses_digits.py runs_rest.py series_rest.py) -k rdf4j
# What RDF4J 3.7 answers otherwise: docs/how-to/choose-a-store.md.
STORE_TESTS += $(addprefix --deselect=tests/,\
	integration/test_query_sparql.py::test_a_query_takes_no_longer_than_its_limit \
	integration/test_analyses_digits.py::test_shared_data_are_what_one_workflow_wrote_and_another_used \
	integration/test_analyses_digits.py::test_shared_data_of_which_not_all_is_known_are_told_as_such \
	integration/test_analyses_digits.py::test_learning_that_goes_on_or_diverges_is_told_as_far_as_it_is \
	integration/test_runs_rest.py::test_runs_are_filtered_and_ranked_by_parameters_of_the_request \
	integration/test_runs_rest.py::test_top_runs_is_a_named_analysis_with_a_column_a_parameter \
	end_to_end/test_seismic.py::test_workflows_that_share_data \
	end_to_end/test_prov_import.py::test_the_whole_store_goes_into_another)
.PHONY: help demo demo-mlflow demo-seismic test test-containers test-stores test-kubernetes test-slurm test-torch test-mlflow2 faults check bench bench-paper up down clean
MAKEFLAGS += --no-print-directory

ARGS ?=
MLFLOW2 := 2.3.2 2.22.5
PYTHON := .venv/bin/python
BASE_PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; break; fi; done)

need_python = @test -n "$(BASE_PYTHON)" || { \
	echo "error: no Python 3.11 or later was found; install one, or name it: make $@ BASE_PYTHON=/path/to/python" >&2; exit 2; }
prepare = @$(BASE_PYTHON) -m deploy.environment

help:  ## this list
	@echo "make TARGET [ARGS=\"...\"]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 | \2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

demo:  ## three scripts on real data, captured while they run, and the answers about them
	$(need_python)
	$(prepare) demo
	@$(PYTHON) examples/digits/demo.py $(ARGS)

demo-seismic:  ## four workflows over files, documents and triples, and the questions of the ProvLake papers about them
	$(need_python)
	$(prepare) demo
	@$(PYTHON) examples/seismic/demo.py $(ARGS)

demo-mlflow:  ## two MLflow scripts as they are, and the commit and data behind their model in production (MLflow in .venv-mlflow)
	$(need_python)
	$(prepare) demo
	@test -x .venv-mlflow/bin/python || $(BASE_PYTHON) -m venv .venv-mlflow
	@.venv-mlflow/bin/python -m pip install --quiet --disable-pip-version-check '.[mlflow]' mlflow
	@$(PYTHON) examples/mlflow/demo.py --python .venv-mlflow/bin/python $(ARGS)

test:  ## all tests, three files at a time; ARGS are pytest's (-n0: one at a time, in this process)
	$(need_python)
	$(prepare) test
	@$(PYTHON) -m pytest -n 3 --dist loadfile $(ARGS)

test-stores:  ## the suites that ask a store, on a SPARQL 1.1 server that is neither Oxigraph nor Fuseki (RDF4J; needs Java and Maven)
	$(need_python)
	$(prepare) test
	@PLLIB_TEST_STORES=rdf4j $(PYTHON) -m pytest -n 2 --dist loadfile $(STORE_TESTS) $(ARGS)

test-kubernetes:  ## the manifests, also as kustomize builds them (needs Go)
	$(need_python)
	$(prepare) test
	@GOBIN=$(CURDIR)/.venv/bin go install sigs.k8s.io/kustomize/kustomize/v5@v5.7.1
	@PLLIB_KUSTOMIZE=$(CURDIR)/.venv/bin/kustomize $(PYTHON) -m pytest tests/integration/test_kubernetes.py tests/integration/test_kustomize.py $(ARGS)

test-containers:  ## builds the images and runs them with Docker or Podman; without a registry of images: ARGS=--local-bases
	$(need_python)
	$(prepare)
	@$(PYTHON) -m deploy.containers.check $(ARGS)

test-torch:  ## a PyTorch training as a run, with PyTorch in an environment of its own (.venv-torch, several gigabytes)
	$(need_python)
	$(prepare) test
	@test -x .venv-torch/bin/python || $(BASE_PYTHON) -m venv .venv-torch
	@.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check torch numpy
	@PLLIB_TORCH_PYTHON=$(CURDIR)/.venv-torch/bin/python $(PYTHON) -m pytest tests/frameworks $(ARGS)

test-slurm:  ## the scripts for Slurm and MPI on a cluster of two nodes of its own; as root, who gets what is missing by apt-get
	$(need_python)
	$(prepare) test
	@$(PYTHON) -m tests.slurm $(ARGS)

test-mlflow2:  ## stores that MLflow 2 writes, extracted; its oldest and last version in environments of their own (.venv-mlflow2)
	$(need_python)
	$(prepare) test
	@for version in $(MLFLOW2); do test -x .venv-mlflow2/$$version/bin/python || $(BASE_PYTHON) -m venv .venv-mlflow2/$$version; \
		.venv-mlflow2/$$version/bin/python -m pip install --quiet --disable-pip-version-check -r tests/frameworks/mlflow-$$version.txt || exit 1; done
	@PLLIB_MLFLOW2_PYTHONS=$(subst $() $(),:,$(MLFLOW2:%=$(CURDIR)/.venv-mlflow2/%/bin/python)) $(PYTHON) -m pytest tests/frameworks $(ARGS)

faults:  ## every fault as often as is promised; prints what became of the records, and keeps it in bench/results/faults.md
	$(need_python)
	$(prepare) test
	@PLLIB_FAULTS=all PLLIB_FAULTS_TABLE=bench/results/faults.md $(PYTHON) -m pytest tests/faults --timeout=3600 $(ARGS)

check:  ## lint, format, types, and which module may import which
	$(need_python)
	$(prepare) check
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy
	@.venv/bin/lint-imports --no-logo

bench:  ## every measure beside floors and peers, in a report in bench/results; ARGS are sections (ARGS=--help lists them)
	$(need_python)
	$(prepare) demo test
	@$(PYTHON) bench/run.py $(ARGS)

bench-paper:  ## the questions of the papers on their synthetic set, and ingest as a store grows, to ten million triples
	$(need_python)
	$(prepare) demo test
	@$(PYTHON) bench/run.py paper growth $(ARGS)

up:  ## start the services and watch them; Ctrl-C stops them; ARGS are those of `python -m deploy up`
	$(need_python)
	$(prepare)
	@$(PYTHON) -m deploy up $(ARGS)

down:  ## stop the services; ARGS="--data DIR" for another folder than ./data
	$(need_python)
	@$(BASE_PYTHON) -m deploy down $(ARGS)

clean:  ## remove .venv, caches and builds; data folders stay
	@rm -rf .venv .venv-torch .venv-mlflow2 .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
