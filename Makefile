# make demo    a realistic load on a real RabbitMQ, with faults, and a ledger at the end
# make chaos   things are broken under load; a ledger tells what became of each message
# make hostile hostile messages among good ones: nothing may stop a worker
# make test    everything that is checked: format, lint, import contract, types, our tests
# make check   the same without the tests that need a broker (seconds)
# make containers  the image, its workers and Compose with real containers (a minute)
# make test-3.13   tests on Python 3.13: all, or ARGS='tests/unit -k retry'
# make bare    make demo and make test in a fresh Debian with Python alone (ARGS='trixie user')
# make cluster    three RabbitMQ nodes on this machine, until Ctrl-C
# make docs    the documentation as a site in build/docs; a warning is an error
# make bench   rmqwork beside its peers on one broker (an hour; ARGS=--quick: 3 minutes)
# make compare BASE=COMMIT   what this checkout costs beside a commit (ARGS='--only drain --pairs 3')
#
# demo, test, containers, test-3.13 and cluster first install what they need, where they may (tools/setup).
#
# Another interpreter:   make PYTHON=python3.12 test
# Some tests:            make pytest ARGS='-k retry -x'
# In one process:        make pytest PROCESSES=0
# Another broker:        RMQWORK_BROKER=amqp://user:password@host:5672/ make test

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
PROCESSES ?= 2

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# One thing after the other: what is installed comes first.
.NOTPARALLEL:
.PHONY: help demo chaos hostile test check containers test-3.13 bare cluster bench compare lint contract types \
	pytest format venv docs clean setup-demo setup-test setup-containers

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

setup-demo setup-test setup-containers:
	@$(PYTHON) tools/setup $(@:setup-%=%)

demo: setup-demo venv
	$(BIN)/rmqwork demo $(ARGS)

chaos: venv
	$(BIN)/python -m tools.chaos $(ARGS)

hostile: venv
	$(BIN)/python -m tools.hostile $(ARGS)

test: setup-test lint types pytest

check: lint types
	$(BIN)/python -m pytest -m 'not broker and not store' $(ARGS)

containers: setup-containers venv
	@tools/containers $(BIN)/python $(ARGS)

test-3.13: setup-containers venv
	@tools/test-python 3.13 $(BIN)/python $(ARGS)

bare:
	@tools/bare $(ARGS)

cluster: setup-containers venv
	@tools/rabbitmq-image sid rabbitmq:4-management
	@$(BIN)/python -m deploy.proof.cluster --only

bench: venv
	$(BIN)/python -m benchmarks $(ARGS)

compare: venv
	@$(BIN)/python -m tools.compare --base "$(BASE)" $(ARGS)

lint: venv contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

contract: venv
	$(BIN)/lint-imports
	$(BIN)/python -m tools.structure

types: venv
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

pytest: venv
	$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile $(ARGS)

docs: $(VENV)/.docs-installed
	@rm -rf build/docs build/doctrees
	$(BIN)/sphinx-build -q -n -W --keep-going -d build/doctrees docs build/docs
	@echo "docs: build/docs/index.html"

$(VENV)/.docs-installed: $(INSTALLED) requirements-docs.txt
	@PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
		$(BIN)/python -m pip install --quiet -r requirements-docs.txt
	@touch $@

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

venv: $(INSTALLED)

$(INSTALLED): requirements-dev.txt pyproject.toml
	@$(PYTHON) tools/setup venv
	@sh tools/venv "$(PYTHON)" "$(VENV)"
	@touch $@

clean:
	rm -rf $(VENV) .venv-* .compare build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
