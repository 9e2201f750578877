# make score IMAGES=photos   scores a folder and writes a page: scores.html, with scores.csv
# make quickstart   from nothing to a trained, evaluated scorer and its report
# make test         the test suite
# make lint         the linter
# make types        the type checker, on the rooms that pyproject.toml names
# make docs         the pages of docs/ as a site in build/docs; fails at a link that leads nowhere
# make resolve      whether requirements.lock can be installed on every version of Python below
# PYTHON=/opt/python3.12/bin/python3 names the interpreter; else it is the first of those below.
VERSIONS := 3.13 3.12 3.11
PYTHON ?= python3 $(VERSIONS:%=python%)
IS_KNOWN := import ensurepip, sys; \
    sys.exit('%d.%d' % sys.version_info[:2] not in '$(VERSIONS)'.split())
VENV ?= .venv
RUN := $(VENV)/bin/python
PIP = $(RUN) -m pip install --quiet --disable-pip-version-check

.PHONY: score quickstart test lint types docs resolve clean

score: $(VENV)/.scores
	@test -n "$(IMAGES)" || { echo "Say which images: make score IMAGES=photos" >&2; exit 1; }
	$(RUN) main.py --mode=predict --images="$(IMAGES)" --output=scores.html
	@echo "Look at scores.html"

quickstart: data/sample_photos/manifest.csv
	$(RUN) main.py --config=configs/quickstart.py --workdir=runs/quickstart
	$(RUN) main.py --mode=predict --workdir=runs/quickstart \
	    --images=data/sample_photos/images --output=runs/quickstart/scores.csv
	@echo "Look at runs/quickstart/report.html"

test: $(VENV)/.installed
	$(RUN) -m pytest -q --numprocesses=auto --maxprocesses=4 --dist=loadfile tests

lint: $(VENV)/.installed
	$(RUN) -m ruff check

types: $(VENV)/.installed
	$(RUN) -m basedpyright --pythonpath $(RUN)

docs: .venv-docs/.installed
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "Look at build/docs/index.html"

.venv-docs/.installed: requirements-docs.txt $(VENV)/.installed
	$(RUN) -m venv .venv-docs
	.venv-docs/bin/pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	touch $@

# promise, which TFDS needs, has no wheel.
resolve: $(VENV)/.installed
	@for version in $(VERSIONS); do \
	    echo "resolving requirements.lock for Python $$version"; \
	    $(RUN) -m uv --quiet pip install --dry-run --target=$(VENV)/nowhere \
	        --python-version=$$version --only-binary=:all: --no-binary=promise \
	        --requirements=requirements.lock || exit 1; \
	done

data/sample_photos/manifest.csv: $(VENV)/.installed
	$(RUN) -m input_pipeline.sample_photos --output=data/sample_photos

# An interpreter may be found and not run, as one that pyenv has not selected.
$(VENV)/.made:
	@for python in $(PYTHON); do \
	    if $$python -c "$(IS_KNOWN)" >/dev/null 2>&1; then \
	        echo "$$python -m venv $(VENV)"; $$python -m venv $(VENV) && touch $@; exit; \
	    fi; \
	done; \
	echo "iqa_jax needs a Python of these versions: $(VERSIONS), with its module venv (Debian:" \
	    "the package python3-venv), and none of these is one: $(PYTHON). Install one, or name it:" \
	    "make PYTHON=/path/to/python3" >&2; exit 1

# What scoring needs: of the versions in the lock, a part. Python compiles what it imports.
$(VENV)/.scores: requirements.lock requirements-score.txt | $(VENV)/.made
	$(PIP) --no-compile -c requirements.lock -r requirements-score.txt
	touch $@

# All there is, and so what scoring needs too.
$(VENV)/.installed: requirements.lock | $(VENV)/.made
	$(PIP) -r requirements.lock
	touch $(VENV)/.scores $@

clean:
	rm -rf $(VENV) .venv-docs build data runs
