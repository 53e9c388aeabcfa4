# Each target makes .venv when it must, installs what it needs into it, and does its job; a second run installs nothing.
# Kept to what GNU Make 3.81 knows, because that is the one macOS has.

PYTHON ?= python3
ARGS ?=

IN_VENV := .venv/bin/python
PROCESSOR_avx2 := NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+fma,+sse4.2
PROCESSOR_sse4.2 := NUMBA_CPU_NAME=nehalem NUMBA_CPU_FEATURES=+sse4.2

EXTRAS := train test demo notebook bench docs
SPHINX = $(IN_VENV) -m sphinx -n -q -d build/doctrees $(ARGS)
STAMPS := $(EXTRAS:%=.venv/installed-%)

.PHONY: help setup train test demo notebook bench docs links lint
.NOTPARALLEL: # two pips at once would spoil .venv

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo 'Flags go in ARGS, as in: make train ARGS="--quick". PYTHON=python3.12 names the Python of .venv.'

train: .venv/installed-train ## train the network from scratch
	$(IN_VENV) train_scratch.py $(ARGS)

demo: .venv/compiled ## serve the page on which you draw digits
	$(IN_VENV) -m webdemo $(ARGS)

notebook: .venv/installed-notebook ## learn about the network step by step, and change the steps
	$(IN_VENV) -m notebook $(ARGS) docs/learn_a_cnn.ipynb

# Held to an older processor's instructions with PROCESSOR=avx2 or sse4.2; without Numba with NUMBA_DISABLE_JIT=1.
test: .venv/installed-test ## run the tests, on all cores unless ARGS names some of them
	$(if $(PROCESSOR),$(or $(PROCESSOR_$(PROCESSOR)),$(error PROCESSOR is avx2 or sse4.2))) $(IN_VENV) -m pytest $(if $(ARGS),$(ARGS),-n auto --dist loadfile)

bench: .venv/installed-bench ## time training and predictions beside other programs
	$(IN_VENV) -m benchmarks $(ARGS)

docs: .venv/installed-docs ## make the book and the reference, as pages to read
	@rm -rf docs/reference
	$(SPHINX) -W --keep-going docs build/docs
	@echo 'Open build/docs/index.html'

links: .venv/installed-docs ## try the links of the docs that lead out of them
	$(SPHINX) -b linkcheck docs build/links

lint: .venv/installed-test ## check style and types
	$(IN_VENV) -m ruff check
	$(IN_VENV) -m ruff format --check
	$(IN_VENV) -m mypy

setup: $(STAMPS) ## install everything and stop
	@echo 'Everything is in .venv'

$(STAMPS): .venv/installed-%: .venv/made setup.cfg constraints.txt pyproject.toml
	@echo 'Installing into .venv what "make $*" needs ...'
	@$(IN_VENV) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@

# So that the demo's first answer does not wait for Numba.
.venv/compiled: .venv/installed-demo $(wildcard nncore/kernels/*.py nncore/kernels/*/*.py)
	@$(IN_VENV) -m nncore warmup weights/recogniser.npz
	@touch $@

# .venv/made holds the folder for which .venv was made. .venv is made anew where that has moved (the installed nncore
# would be the one in the old folder), its Python is gone or changed, or the caller names a Python of another version.
FRESH := test "`cat .venv/made`" = "`pwd -P`" && $(IN_VENV) -c 'import pip'

ifeq ($(origin PYTHON),file)
PYTHONS := python3 python3.14 python3.13 python3.12 python3.11 python3.10
else
PYTHONS := "$(PYTHON)"
FRESH += && "$(PYTHON)" -c 'import os, sys; os.stat(".venv/lib/python%d.%d" % sys.version_info[:2])'
endif

.PHONY: stale
.venv/made: $(shell { $(FRESH); } 2>/dev/null || echo stale)

# Prints where this Python itself is, never that of an active .venv, which is about to be deleted. Exits with 3 where it
# is too old (Python 2 must understand that much), with 1 where Debian has left venv to a package of its own.
PROBE := import sys; sys.version_info < (3, 10) and sys.exit(3); \
    import ensurepip; ensurepip.version(); print(sys._base_executable)

.venv/made:
	@for python in $(PYTHONS); do \
	    base=`"$$python" -c '$(PROBE)' 2>/dev/null` && break; \
	    test $$? -ne 1 || no_venv="$${no_venv:-$$python}"; \
	done; \
	if [ -n "$$base" ]; then \
	    echo "Making .venv with $$base"; \
	    rm -rf .venv && "$$base" -m venv .venv && pwd -P >.venv/made && exit; \
	    rm -rf .venv; \
	    echo "$$base could not make .venv: see above" >&2; \
	elif [ -n "$$no_venv" ]; then \
	    echo "$$no_venv lacks the venv module; install it (Debian, Ubuntu: apt install $${no_venv##*/}-venv)" >&2; \
	else \
	    echo "nncore needs Python 3.10 or newer, and \"$(PYTHON)\" is not that: install it" \
	        "(Debian, Ubuntu: apt install python3 python3-venv; macOS: brew install python)" \
	        "or name one: make PYTHON=/path/to/python3" >&2; \
	fi; \
	exit 1
