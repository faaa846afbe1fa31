# oneuron: every command of the project. `make` alone lists them.
# Overrides go in ARGS: make run ARGS="optimiser.learning_rate=0.5 train.epochs=2000"

PYTHON ?= python3
ARGS   ?=
RUN    ?= latest
INPUT  ?=
OUTPUT ?=
SWEEP  ?= latest
FILTER ?=
FROM   ?=
TRUST  ?=
PLAN   ?=
# Through the environment: the shell would stumble over seed=range(5).
export ARGS RUN INPUT OUTPUT SWEEP FILTER FROM TRUST
# Where it is set, every process compiles its imports anew: seconds, each time.
unexport PYTHONDONTWRITEBYTECODE
BIN    := .venv/bin
STAMP  := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run sweep compare promote reproduce export import predict ui sync test exhaustive check format bench bench-sweep data clean lock

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## create .venv and install what the lock names, hashes checked
$(STAMP): requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("Python must be 3.11 to 3.13; got %d.%d: make PYTHON=python3.12 ..." % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv (once, about 10 s on a fast connection)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --offline --no-deps --no-build-isolation --editable .
	@touch $@

run: $(STAMP) ## train, evaluate and track one neuron (ARGS="key=value ...")
	@$(BIN)/python -m pipeline --args

sweep: $(STAMP) ## a run for each point of a grid, and how they compare (ARGS="seed=range(5) ...", PLAN=1 only tells)
	@$(BIN)/python -m pipeline -m $(if $(PLAN),--plan) $(if $(ARGS),--args,experiment=optimisers)

compare: $(STAMP) ## compare runs: SWEEP=name, id or latest, or FILTER="params.seed = '0'"
	@$(BIN)/python -m pipeline compare --sweep "$$SWEEP" --filter "$$FILTER" --args

promote: $(STAMP) ## the best of a sweep becomes champion if it passes the gate of conf/promote: SWEEP=latest
	@$(BIN)/python -m pipeline promote --sweep "$$SWEEP" --args

reproduce: $(STAMP) ## make a run again and say whether it is the same: RUN=latest (FROM=source: by its own code; TRUST=yes: another's too)
	@$(BIN)/python -m pipeline reproduce --run "$$RUN" --from "$$FROM" --trust "$$TRUST" --args

export: $(STAMP) ## hand a run on as one file: RUN=latest OUTPUT=run.zip
	@$(BIN)/python -m pipeline export --run "$$RUN" --output "$$OUTPUT" --args

import: $(STAMP) ## take in a run that was exported elsewhere: INPUT=run.zip
	@$(BIN)/python -m pipeline import --input "$$INPUT" --args

predict: $(STAMP) ## score new rows: RUN=latest (or champion) INPUT=new.csv OUTPUT=out.csv
	@$(BIN)/python -m pipeline predict --run "$$RUN" --input "$$INPUT" --output "$$OUTPUT" --args

ui: $(STAMP) ## look at the runs in MLflow, on this machine only
	@$(BIN)/python -m pipeline ui --args

sync: $(STAMP) ## publish the runs that the store or server has missed (ARGS="tracking=server ...")
	@$(BIN)/python -m pipeline sync --args

test: $(STAMP) ## the tests (ARGS='-m "not slow"' leaves out processes, servers and the browser)
	@$(BIN)/python -m pytest -n auto --quiet -m "not exhaustive" $(ARGS)

exhaustive: $(STAMP) ## what takes longest: a kill at every I/O call, writers by the dozen, simulated luck
	@$(BIN)/python -m pytest -n auto --quiet -m exhaustive $(ARGS)

check: $(STAMP) ## what must be green before a commit: format, lint, types, import contracts, tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 1
	@$(BIN)/python -m pytest -n auto --quiet -m "not exhaustive"

format: $(STAMP) ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(STAMP) ## how fast it is, as ratios measured side by side
	@$(BIN)/python -m bench

bench-sweep: $(STAMP) ## how fast sweeps are, against their floor and the naive way
	@$(BIN)/python -m bench.sweep

data: $(STAMP) ## write the tables that come with the project to data/
	@$(BIN)/python -m pipeline data --args

lock: $(STAMP) ## choose the versions anew and write them, with hashes, to the lock files
	@$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml -o requirements.lock
	@grep -A 99 '^uv==' requirements.lock | awk 'NR > 1 && !/^ / {exit} {print}' | sed '$$ s/ \\$$//' > bootstrap.lock

clean: ## remove .venv, caches and the tables that make data writes again; tables of yours and results stay
	@! test -x $(BIN)/python || $(BIN)/python -m pipeline data --remove 2>/dev/null \
	  || echo "data/ stays as it is: .venv cannot say which tables are make data's" >&2
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find nn pipeline tests bench -name __pycache__ -prune -exec rm -rf {} +
