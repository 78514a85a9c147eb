# Everything works on a machine with nothing but Python 3.11 or later; what is missing is fetched.
PYTHON ?= python3
BIN := .venv/bin
# Newer than pyproject.toml when the environment holds what it asks for.
READY := .venv/.ready
FRAMEWORKS := .frameworks
# Processes that test, each with brokers of its own; a module's tests stay together, in their order.
TESTERS ?= 2
FRAMEWORKS_TEST := pytest --confcutdir tests/frameworks tests/frameworks
APART := -n $(TESTERS) --dist loadgroup --no-loadscope-reorder

.PHONY: demo test lint frameworks frameworks-test kafka bench compile faults clean
.DEFAULT_GOAL := test

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("tollway needs Python 3.11 or later; this is " + sys.version.split()[0] + ". Say: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	touch $(READY)

$(FRAMEWORKS)/.ready: pyproject.toml $(READY)
	test -x $(FRAMEWORKS)/bin/python || $(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(FRAMEWORKS)/bin/python -m pip install --quiet --group frameworks --editable .
	touch $(FRAMEWORKS)/.ready

# Agents that behave like recorded ones, what they spent, what was blocked and why.
demo: $(READY)
	$(BIN)/tollway demo

# Everything that CI checks, cheapest first. With ARGS, which go to pytest: only what these name.
# What runs on brokers has the machine to itself; then the frameworks are tested beside the rest, and
# say their word at the end.
ifeq ($(strip $(ARGS)),)
test: lint $(FRAMEWORKS)/.ready
	$(BIN)/pytest $(APART) -m kafka
	@$(FRAMEWORKS)/bin/python -m $(FRAMEWORKS_TEST) > .frameworks.log 2>&1 & beside=$$!; \
	echo "$(BIN)/pytest $(APART) -m 'not kafka'"; \
	$(BIN)/pytest $(APART) -m 'not kafka'; rooms=$$?; \
	wait $$beside; frameworks=$$?; \
	cat .frameworks.log; \
	exit $$((rooms | frameworks))
else
test: lint
	$(BIN)/pytest $(APART) $(ARGS)
endif

frameworks-test: $(FRAMEWORKS)/.ready
	$(FRAMEWORKS)/bin/python -m $(FRAMEWORKS_TEST)

# The agent frameworks, in an environment of their own: 1.8 GB, two minutes.
frameworks: $(FRAMEWORKS)/.ready

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pyright

# Real Apache Kafka in the foreground, from its published jars; needs Java 17, once Maven.
kafka: $(READY)
	$(BIN)/python -m tollway.cli.kafka

# Figures of this machine.
bench: $(READY) $(FRAMEWORKS)/.ready
	$(BIN)/python -m bench $(ARGS)

# The domain's hot modules as machine code, beside their sources; ARGS=--clean removes them.
compile: $(READY)
	$(BIN)/python -m bench.compile $(ARGS)

# Workers, sink and broker killed while events flow; writes docs/faults.md; takes ten minutes.
faults: $(READY)
	$(BIN)/python -m bench.faults $(ARGS)

clean:
	rm -rf .venv $(FRAMEWORKS) .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
