# make quickstart   from nothing to a trained, evaluated scorer and its report
# make test         the test suite
# PYTHON=python3.12 picks the interpreter (3.11 or newer).
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python

.PHONY: quickstart test clean

quickstart: data/sample_photos/manifest.csv
	$(RUN) main.py --config=configs/quickstart.py --workdir=runs/quickstart
	$(RUN) main.py --mode=predict --workdir=runs/quickstart \
	    --images=data/sample_photos/images --output=runs/quickstart/scores.csv
	@echo "Look at runs/quickstart/report.html"

test: $(VENV)/.installed
	$(RUN) -m pytest -q --numprocesses=auto --maxprocesses=4 --dist=loadfile tests

data/sample_photos/manifest.csv: $(VENV)/.installed
	$(RUN) -m input_pipeline.sample_photos --output=data/sample_photos

$(VENV)/.installed: requirements.lock
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and \
	    'iqa_jax needs Python 3.11 or newer; this is ' + sys.version.split()[0])"
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

clean:
	rm -rf $(VENV) data runs
