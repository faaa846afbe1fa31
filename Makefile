# oneuron: every command of the project. `make` alone lists them.
# Overrides go in ARGS: make run ARGS="optimiser.learning_rate=0.5 train.epochs=2000"

PYTHON ?= python3
# The commands of the package read these variables themselves, as they were typed: a shell would
# stumble over seed=range(5).
export ARGS RUN INPUT OUTPUT SWEEP FILTER FROM TRUST PLAN ON_BAD_ROW TARGET POSITIVE PORT HIDE_VALUES
# Where it is set, every process compiles its imports anew: seconds, each time.
unexport PYTHONDONTWRITEBYTECODE
BIN    := .venv/bin
STAMP  := .venv/.installed
# Two workers more than cores: many a test waits for a process, a server or a lock.
WORKERS = $$(( $$(getconf _NPROCESSORS_ONLN) + 2 ))
PYTEST  = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --quiet

.DEFAULT_GOAL := help
COMMANDS := run tune sweep compare promote evaluate scorecard report reproduce export import predict serve ui sync data contract
.PHONY: help setup $(COMMANDS) test exhaustive check format bench bench-sweep bench-serve clean lock

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

run: ## train, evaluate and track one neuron (ARGS="key=value ...")
tune: ## train on all but the test rows, with the penalty that folds choose (ARGS="data=...")
sweep: ## a run for each point of a grid, and how they compare (ARGS="seed=range(5) ...", PLAN=1 only shows)
compare: ## compare runs: SWEEP=name, id or latest, or FILTER="params.seed = '0'"
promote: ## the best run of a sweep becomes champion if it passes the gate of conf/promote: SWEEP=latest, or RUN=...
predict: ## score new rows: RUN=latest (or champion) INPUT=new.csv OUTPUT=out.csv [ON_BAD_ROW=skip]
serve: ## answer requests with a model, and show a form: RUN=champion [PORT=5001 ON_BAD_ROW=skip HIDE_VALUES=yes]
evaluate: ## figures and drift on a labelled file, exit code 6 if worse than on test: RUN=champion INPUT=new.csv
report: ## draw the page of a run, as of a sweep: RUN=latest (OUTPUT=page.html)
scorecard: ## a run of words and bins as whole points: RUN=latest OUTPUT=scorecard.csv
reproduce: ## train a run again and say whether it is the same: RUN=latest (FROM=source: by its own code)
export: ## write a run to one file: RUN=latest OUTPUT=run.zip
import: ## take in a run that was exported elsewhere: INPUT=run.zip
ui: ## look at the runs in MLflow, on this machine only
sync: ## publish the runs that the store or server lacks (ARGS="tracking=server ...")
contract: ## draft the contract of a table: INPUT=file.csv TARGET=column (POSITIVE=value, OUTPUT=conf/data/name.yaml)
data: ## write the tables that come with the project to data/
$(COMMANDS): $(STAMP)
	@$(BIN)/python -m pipeline $@ --make

test: $(STAMP) ## the tests (ARGS='-m "not slow and not exhaustive"' leaves out processes and servers)
	@$(PYTEST) -m "not exhaustive" $(ARGS)

exhaustive: $(STAMP) ## what takes longest: a kill at every I/O call, writers by the dozen, simulations
	@$(PYTEST) -m exhaustive $(ARGS)

check: $(STAMP) ## what must be green before a commit: format, lint, types, import contracts, tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 1
	@$(PYTEST) -m "not exhaustive"

format: $(STAMP) ## format the code and fix what can be fixed
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format .

bench: $(STAMP) ## how fast it is, as ratios measured side by side
	@$(BIN)/python -m bench

bench-sweep: $(STAMP) ## how fast sweeps are, against their floor and the naive way
	@$(BIN)/python -m bench.sweep

bench-serve: $(STAMP) ## how fast a served model answers, against a stub in MLflow's server
	@$(BIN)/python -m bench.serve

lock: $(STAMP) ## choose the versions anew and write them, with hashes, to the lock files
	@$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml -o requirements.lock
	@grep -A 99 '^uv==' requirements.lock | awk 'NR > 1 && !/^ / {exit} {print}' | sed '$$ s/ \\$$//' > bootstrap.lock

clean: ## remove .venv, caches and the tables that `make data` writes; results and your tables stay
	@test ! -x $(BIN)/python || $(BIN)/python -m pipeline data --remove 2>/dev/null \
	  || echo "data/ stays as it is: .venv cannot say which tables are make data's" >&2
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find nn pipeline tests bench -name __pycache__ -prune -exec rm -rf {} +
