# make demo    a real model fitted to a real task, from nothing
# make test    GoogleTest and pytest, everything
# make check   formats, linters, types, include order, the generated stub
# make notebooks  runs the notebooks and keeps what they show
# make bench   speed and memory against TRL + PEFT and others, interleaved; about an hour
# make wheel   dist/*.whl
# make sanitize  the C++ tests under the address and undefined-behaviour sanitizers
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint python/constraints.txt
CXX_FILES := $(shell git ls-files '*.cpp' '*.h' 2>/dev/null)
# With a browser on the machine the report is tested in it.
BROWSER := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export LUTHIER_CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/luthier

.PHONY: demo notebooks test check format bench wheel sanitize clean build build-tests model
.DELETE_ON_ERROR:

demo: build
	$(BIN)/luthier demo

test: build-tests $(VENV)/.test $(if $(BROWSER),$(VENV)/.browser) model
	ctest --test-dir build --output-on-failure
	$(BIN)/python -m pytest tests

check: build-tests $(VENV)/.test $(VENV)/.check
	$(BIN)/clang-format --dry-run --Werror $(CXX_FILES)
	$(BIN)/ruff format --check python tests
	$(BIN)/ruff check python tests
	$(BIN)/python -m mypy
	$(BIN)/python tests/architecture/check_stub.py
	$(BIN)/python -m pytest tests/architecture

format: $(VENV)/.check
	$(BIN)/clang-format -i $(CXX_FILES)
	$(BIN)/ruff format python tests
	$(BIN)/ruff check --fix python tests

# In their folder, with the outputs kept in the files.
notebooks: build $(VENV)/.test model
	$(BIN)/python tests/python/notebooks/keep_outputs.py notebooks/*.ipynb

bench: build $(VENV)/.test $(VENV)/.bench model
	$(BIN)/python tests/benchmarks/run.py

wheel: $(VENV)/.build
	$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist

sanitize: $(VENV)/.build
	$(BIN)/cmake -S . -B build/sanitize -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DLUTHIER_SANITIZE=ON -DLUTHIER_BUILD_TESTS=ON \
	  -DPython_EXECUTABLE=$(abspath $(BIN)/python) -DCMAKE_PREFIX_PATH=$$($(BIN)/python -m pybind11 --cmakedir)
	$(BIN)/cmake --build build/sanitize --target cpp_tests
	ASAN_OPTIONS=detect_leaks=0 ctest --test-dir build/sanitize --output-on-failure

# The environment: what builds, then Luthier itself in editable form with its pinned dependencies.
$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet 'pip>=25.1,<27'

$(VENV)/.build: pyproject.toml python/constraints.txt | $(BIN)/python
	$(INSTALL) torch==2.13.0
	$(INSTALL) --group build
	@touch $@

build: $(VENV)/.build
	$(INSTALL) --no-build-isolation --editable .

# GoogleTest is Debian's; without it the C++ tests cannot be built.
build-tests: $(VENV)/.build
	@if [ ! -e /usr/include/gtest/gtest.h ] && [ ! -e /usr/src/googletest/CMakeLists.txt ]; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && apt-get install -y -qq libgtest-dev; \
	  else echo "GoogleTest is missing: sudo apt-get install libgtest-dev" >&2; exit 1; fi; fi
	$(INSTALL) --no-build-isolation --config-settings=cmake.define.LUTHIER_BUILD_TESTS=ON --editable .

$(VENV)/.test $(VENV)/.check $(VENV)/.bench $(VENV)/.browser: $(VENV)/.%: pyproject.toml python/constraints.txt | $(VENV)/.build
	$(INSTALL) --group $*
	@touch $@

model:
	$(BIN)/luthier fetch smollm2-135m-instruct

clean:
	rm -rf build dist $(VENV)
