# xsiamese: make help
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
export OMP_NUM_THREADS ?= 1
.DEFAULT_GOAL := help

, := ,
# uv installs in a third of pip's time; where it cannot be had, pip does
install = ($(BIN)/python -m pip install --quiet uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python $(1)) \
	|| $(BIN)/python -m pip install --quiet $(1)

.PHONY: help demo test coverage lint docs package bench mutants ship clean

help: ## what can be made
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install,--editable ".[image$(,)plot]")
	@touch $@

$(VENV)/.test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install,--editable ".[test$(,)docs]")
	@touch $@ $(VENV)/.demo

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(call install,--editable ".[dev]")
	@touch $@ $(VENV)/.test $(VENV)/.demo

demo: $(VENV)/.demo ## install, explain three pairs of shipped images, and write the pictures
	$(BIN)/xsiamese demo --output demo

test: $(VENV)/.test ## install what the tests need, and run them all, on two workers of one thread each
	$(BIN)/python -m compileall -q xsiamese plugins  # many tests start a process, also where Python writes no bytecode
	$(BIN)/python -m pytest -n 2 --dist worksteal

coverage: $(VENV)/.dev ## run the tests and count the branches that they take; below 95 % is an error: make coverage TESTS=tests/test_cli.py
	$(BIN)/coverage erase && $(BIN)/coverage run -m pytest -p no:xdist $(TESTS)
	$(BIN)/coverage combine -q && $(BIN)/coverage report

lint: $(VENV)/.dev ## ruff, mypy --strict and the floors
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

docs: $(VENV)/.dev ## build the documentation, warnings are errors
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

package: $(VENV)/.test ## build sdist and wheel, and try the wheel in a fresh environment without the checkout
	rm -rf dist build/fresh && $(BIN)/python -m hatchling build
	$(PYTHON) -m venv build/fresh && build/fresh/bin/python -m pip install --quiet "$$(ls $(CURDIR)/dist/*.whl)[image,plot]"
	cd build && fresh/bin/xsiamese plugins && fresh/bin/xsiamese demo --output fresh/demo && ls fresh/demo

bench: $(VENV)/.test ## measure speed against the floor and the peers, into docs/measurements
	$(BIN)/python tests/benchmarks/speed.py

mutants: $(VENV)/.dev ## break a module on purpose and see which faults no test sees: make mutants ROOM=model SAMPLE=20
	$(BIN)/python tools/mutants.py $(ROOM) --sample $(or $(SAMPLE),0)

ship: $(VENV)/.test ## make the shipped images and checkpoint again: make ship DATA=path/to/fashion_mnist
	$(BIN)/python tools/ship_fashion.py --data $(DATA)

clean: ## remove the environment and everything built
	rm -rf $(VENV) demo build dist docs/_build docs/auto_examples docs/reference/generated
