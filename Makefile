# Two commands do everything: `make demo` and `make test`; with another Python: make test PYTHON=python3.13 VENV=.venv313
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo-out
WHAT ?= --editable '.[all,test,dev,docs]'
CORE_ONLY := -p no:napari -p no:pytest-qt -p no:npe2
SPREAD := -n logical --dist loadfile

# where it forbids bytecode, every process that the tests start would compile the package anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-core test-slow test-viewer coverage fuzz lint docs screenshots wheel clean

demo: $(VENV)/.installed
	$(BIN)/histoscribe demo --out $(OUT)

test: test-core test-viewer

test-core: $(VENV)/.installed
	HISTOSCRIBE_NO_SCREEN=1 $(BIN)/python -m pytest tests --ignore=tests/widgets $(CORE_ONLY) -m 'not slow' $(SPREAD)

# those that need long: real tissue, whole processes, every kind of input, a whole morning in the window
test-slow: $(VENV)/.installed
	HISTOSCRIBE_NO_SCREEN=1 $(BIN)/python -m pytest tests --ignore=tests/widgets $(CORE_ONLY) -m slow $(SPREAD)
	./scripts/with-screen $(BIN)/python -m pytest tests/widgets -m slow -n 2 --dist load

test-viewer: $(VENV)/.installed
	./scripts/with-screen $(BIN)/python -m pytest tests/widgets -m 'not slow' -n 2 --dist loadfile

# the core's and the viewer's tests together; fails below the floor of [tool.coverage.report]
coverage: $(VENV)/.installed
	$(BIN)/coverage erase
	HISTOSCRIBE_NO_SCREEN=1 $(BIN)/coverage run -m pytest tests --ignore=tests/widgets $(CORE_ONLY)
	./scripts/with-screen $(BIN)/coverage run -m pytest tests/widgets
	$(BIN)/coverage combine
	$(BIN)/coverage report

fuzz: $(VENV)/.installed
	HISTOSCRIBE_NO_SCREEN=1 HISTOSCRIBE_FUZZ_SECONDS=60 $(BIN)/python -m pytest tests/fuzz $(CORE_ONLY) $(SPREAD)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/npe2 validate src/histoscribe/napari.yaml

docs: $(VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: $(VENV)/.installed
	./scripts/with-screen $(BIN)/python docs/make_screenshots.py

wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python scripts/check-release dist

$(VENV)/.installed: pyproject.toml $(wildcard constraints/*.txt)
	./scripts/make-environment $(PYTHON) $(VENV) $(WHAT)

clean:
	rm -rf $(VENV) $(OUT) dist build site .coverage htmlcov
