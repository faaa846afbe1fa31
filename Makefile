# oneuron: every command of the project. `make` alone lists them.
# Overrides go in ARGS: make run ARGS="optimiser.learning_rate=0.5 train.epochs=2000"

PYTHON ?= python3
# The commands of the package read these variables themselves, as they were typed: a shell would
# stumble over seed=range(5).
export ARGS RUN INPUT OUTPUT SWEEP FILTER FROM TRUST PLAN ON_BAD_ROW TARGET POSITIVE PORT HIDE_VALUES DIALECT TABLE
# Where it is set, every process compiles its imports anew: seconds, each time.
unexport PYTHONDONTWRITEBYTECODE
BIN    := .venv/bin
STAMP  := .venv/.installed
ECOSYSTEM := .venv-ecosystem/.installed
# Two workers more than cores: many a test waits for a process, a server or a lock.
WORKERS = $$(( $$(getconf _NPROCESSORS_ONLN) + 2 ))
PYTEST  = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --quiet

.DEFAULT_GOAL := help
COMMANDS := run tune reproduce sweep search compare promote predict serve sql evaluate report scorecard \
            ui sync server export import data contract
.PHONY: help setup $(COMMANDS) test exhaustive check format bench bench-sweep bench-scale bench-blocks bench-engines bench-serve clean lock

help: ## this list
	@grep -hE '^([a-z-]+:.*## |##@)' $(MAKEFILE_LIST) \
	  | awk -F ':.*## |##@ ' '/^##@/ {print $$2; next} {printf "  make %-12s%s%s\n", $$1, (length($$1) > 11 ? " " : ""), $$2}'

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

##@ One run
run: ## train, evaluate and track one neuron (ARGS="key=value ...")
tune: ## train on all but the test rows, folds choose the penalty
reproduce: ## train a run again, is it the same? RUN=latest (FROM=source)
##@ Many runs
sweep: ## a run for each point of a grid (ARGS="seed=range(5)", PLAN=1)
search: ## draw points of a space (ARGS="train.l2=interval(0,1)")
compare: ## compare runs: SWEEP=latest, or FILTER="params.seed = '0'"
promote: ## make the best run champion: SWEEP=latest, or RUN=...
##@ Use a run
predict: ## score new rows: INPUT=new.csv OUTPUT=out.csv (RUN=champion)
serve: ## answer requests, with a form: RUN=champion (PORT=5001)
sql: ## a query that scores a table: RUN=champion DIALECT=duckdb
evaluate: ## figures and drift on a labelled file: INPUT=new.csv
report: ## draw the page of a run: RUN=latest (OUTPUT=page.html)
scorecard: ## a run of words and bins as points: RUN=latest OUTPUT=card.csv
##@ Share runs
ui: ## look at the runs in MLflow, on this machine only
sync: ## publish runs that a store or server lacks
server: ## a tracking server for a team, with logins, on PostgreSQL
export: ## write a run to one file: RUN=latest OUTPUT=run.zip
import: ## take in a run that was exported elsewhere: INPUT=run.zip
##@ Set up
data: ## write the tables that come with the project to data/
contract: ## draft the contract of a table: INPUT=file.csv TARGET=column
$(COMMANDS): $(STAMP)
	@$(BIN)/python -m pipeline $@ --make

# What the estimator and the served model are tried in: Spark alone is 0.5 GB.
$(ECOSYSTEM): requirements-ecosystem.lock | $(STAMP)
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "setting up $(@D) (once, a minute)" >&2
	@$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes $< && touch $@ \
	  || echo "$(@D) could not be made: its tests are skipped" >&2

##@ Develop
test: $(STAMP) ## the tests
	@$(PYTEST) -m "not exhaustive" $(ARGS)

exhaustive: $(STAMP) $(ECOSYSTEM) ## what takes longest: kills at every I/O call, simulations
	@$(PYTEST) -m exhaustive $(ARGS)

check: $(STAMP) ## format, lint, types, import contracts, tests
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

bench-sweep: $(STAMP) ## how fast sweeps are, against their floor (ARGS=1000)
	@$(BIN)/python -m bench.sweep $(ARGS)

bench-scale: $(STAMP) ## how fast a long table is read, against DuckDB (ARGS=rows)
	@$(BIN)/python -m bench.scale $(ARGS)

bench-engines: $(STAMP) ## one table counted by each engine (ARGS=rows)
	@$(BIN)/python -m bench.engines $(ARGS)

bench-blocks: $(STAMP) ## how fast rows in blocks are trained, against a scan
	@$(BIN)/python -m bench.blocks $(ARGS)

bench-serve: $(STAMP) ## how fast a served model answers, against a stub
	@$(BIN)/python -m bench.serve

lock: $(STAMP) ## choose the versions anew and write the lock files
	@$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --universal --fork-strategy fewest --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --group ecosystem pyproject.toml \
	  -o requirements-ecosystem.lock
	@grep -A 99 '^uv==' requirements.lock | awk 'NR > 1 && !/^ / {exit} {print}' | sed '$$ s/ \\$$//' > bootstrap.lock

clean: ## remove .venv, caches, tables of make data; results stay
	@test ! -x $(BIN)/python || $(BIN)/python -m pipeline data --remove 2>/dev/null \
	  || echo "data/ stays as it is: .venv cannot say which tables are make data's" >&2
	@rm -rf .venv .venv-ecosystem .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find nn pipeline tests bench -name __pycache__ -prune -exec rm -rf {} +
