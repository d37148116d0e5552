# Two commands on a bare machine: `make run` and `make test`. Both make the environment first; `make help` lists the rest.

PYTHON ?= python3
BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
# With uv, any Python that is new enough will do, unless the caller names one.
UV_PYTHON_WANTED := $(if $(filter file,$(origin PYTHON)),>=3.11,$(PYTHON))

.PHONY: help run test test-frameworks check lint lock lock-frameworks long seeds reference providers gate-rates counts crashes trends prediction peers conformance capacity screenshots clean
.DEFAULT_GOAL := help

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.stamp  ## Play the standard scenarios, and compare two trim policies of the reference loop
	$(BIN)/looprig run
	$(BIN)/looprig compare reference,policy=end-of-turn reference,policy=grouped

# In two parts: pytest-benchmark measures nothing beside other tests, and rightly.
test: .venv/.stamp  ## Run the tests
	$(BIN)/pytest --numprocesses logical --maxprocesses 4 --dist loadfile --ignore tests/perf
	$(BIN)/pytest tests/perf

test-frameworks: .venv/.stamp  ## Run the tests of frameworks' adapters and trimmers, in an environment with the frameworks
	newest=$$($(BIN)/python -m looprig.conformance.environment newest) && \
	  $$newest -m pytest -W ignore tests/adapters/frameworks tests/trimmers/frameworks/newest \
	    --ignore tests/adapters/frameworks/test_camel.py
	camel=$$($(BIN)/python -m looprig.conformance.environment camel) && \
	  $$camel -m pytest -W ignore tests/adapters/frameworks/test_camel.py tests/trimmers/frameworks/camel

conformance: .venv/.stamp  ## Test the trimmers and agents of frameworks; writes reports/conformance.md (a quarter of an hour)
	$(BIN)/looprig conformance

long: .venv/.stamp  ## Measure a conversation of a million messages; writes reports/long_conversation.md (minutes)
	$(BIN)/python tests/perf/long_conversation.py > reports/long_conversation.md.new
	mv reports/long_conversation.md.new reports/long_conversation.md

seeds: .venv/.stamp  ## Play every scenario with 200 seeds against the grouped policy; writes reports/seeds.md (minutes)
	$(BIN)/python tests/perf/seeds.py > reports/seeds.md.new
	mv reports/seeds.md.new reports/seeds.md

reference: .venv/.stamp  ## Measure the reference loop against its targets; writes reports/reference_loop.md (minutes)
	$(BIN)/python -m tests.perf.reference > reports/reference_loop.md.new; missed=$$?; \
	  mv reports/reference_loop.md.new reports/reference_loop.md; exit $$missed

providers: .venv/.stamp  ## Measure the strict model against its targets; writes reports/providers.md (minutes; needs wrk)
	$(BIN)/python -m tests.perf.providers > reports/providers.md.new; missed=$$?; \
	  mv reports/providers.md.new reports/providers.md; exit $$missed

gate-rates: .venv/.stamp  ## Measure how often a gate on CPU time is wrong; writes reports/gate.md (hours; goes on where it stopped; needs valgrind)
	$(BIN)/python -m tests.perf.gate --sizes
	$(BIN)/python -m tests.perf.gate
	$(BIN)/python -m tests.perf.gate --page > reports/gate.md.new
	mv reports/gate.md.new reports/gate.md

counts: .venv/.stamp  ## Show what exact counts and growth find; writes reports/counts.md (a quarter of an hour; needs valgrind)
	$(BIN)/python -m tests.perf.counts > reports/counts.md.new; missed=$$?; \
	  mv reports/counts.md.new reports/counts.md; exit $$missed

crashes: .venv/.stamp  ## Kill, cut off and damage the store; writes reports/store.md (minutes; needs a C compiler)
	$(BIN)/python -m tests.perf.crashes > reports/store.md.new; missed=$$?; \
	  mv reports/store.md.new reports/store.md; exit $$missed

trends: .venv/.stamp  ## Measure what change points are found and missed; writes reports/trends.md
	$(BIN)/python -m tests.perf.trends > reports/trends.md.new; missed=$$?; \
	  mv reports/trends.md.new reports/trends.md; exit $$missed

prediction: .venv/.stamp .looprig/learn/.stamp  ## Score memory prediction, with a learner; writes reports/prediction.md (minutes)
	PYTHONPATH=.looprig/learn$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/pytest -q tests/prediction/test_predictors.py
	PYTHONPATH=.looprig/learn$${PYTHONPATH:+:$$PYTHONPATH} $(BIN)/looprig predict --format markdown > reports/prediction.md.new
	mv reports/prediction.md.new reports/prediction.md

# A folder beside the environment and not in it: the learner is 300 MB that nothing else needs.
.looprig/learn/.stamp: looprig/prediction/learn.txt .venv/.stamp
	rm -rf .looprig/learn
ifdef UV
	uv pip install --quiet --no-deps --python $(BIN)/python --target .looprig/learn --requirement looprig/prediction/learn.txt
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .looprig/learn \
	  --requirement looprig/prediction/learn.txt
endif
	@touch $@

capacity: .venv/.stamp  ## Measure what turns and sessions of the served loop cost; writes reports/capacity.md (a quarter of an hour)
	$(BIN)/python -m tests.perf.capacity > reports/capacity.md.new; missed=$$?; \
	  mv reports/capacity.md.new reports/capacity.md; exit $$missed

screenshots: .venv/.stamp  ## Make pictures of a load run in locust's web UI and of its report, in reports/ (needs Chromium)
	$(BIN)/python -m tests.load.browser reports

peers:  ## Install the mock server that the strict model is held against; needs npm
	npm install --silent --no-audit --no-fund --prefix .looprig/peers @copilotkit/aimock@1.43.0

check: .venv/.stamp  ## Look for mistakes without running anything: ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lint: .venv/.stamp  ## Format the code, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock:  ## Write requirements.lock anew from pyproject.toml; needs uv
	@test -n "$(UV)" || { echo "make lock needs uv (https://docs.astral.sh/uv)" >&2; exit 2; }
	uv pip compile --quiet --universal --upgrade --generate-hashes --no-header --no-annotate --no-config \
	  --python-version 3.11 --extra dev --extra otel --extra postgres --extra tokens pyproject.toml --output-file requirements.lock

# Two environments: one package that asks for old versions would age all others.
lock-frameworks:  ## Write the locks of the frameworks anew from looprig/conformance/*.in; needs uv
	@test -n "$(UV)" || { echo "make lock-frameworks needs uv (https://docs.astral.sh/uv)" >&2; exit 2; }
	for name in frameworks camel; do \
	  uv pip compile --quiet --universal --upgrade --no-header --no-annotate --no-config --python-version 3.11 \
	    looprig/conformance/$$name.in --output-file looprig/conformance/$$name.txt || exit 1; \
	done

clean:  ## Remove the environment and everything that tools left behind
	rm -rf .venv .looprig .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist reports/runs
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp says: the environment is what pyproject.toml and requirements.lock ask for.
.venv/.stamp: pyproject.toml requirements.lock
ifdef UV
	uv venv --quiet --allow-existing --python "$(UV_PYTHON_WANTED)" .venv
	VIRTUAL_ENV=.venv uv pip sync --quiet --require-hashes requirements.lock
	VIRTUAL_ENV=.venv uv pip install --quiet --no-deps --no-build-isolation --editable .
else
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "looprig needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo "Name another one, as in: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endif
	@touch $@
