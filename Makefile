# Thin: each target is one line, and nothing here knows more than the command it runs.
# PYTHON=python3.9 make test uses that interpreter, in a virtual environment of its own.

PYTHON ?= python3
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c "import sysconfig as s; print(s.get_config_var('SOABI'))"))
NATIVE := pyproject.toml setup.py $(shell find ipcfast csrc/ipcf -name '*.pyx' -o -name '*.pxd' -o -name '*.[ch]')

# Extras that the tests use beside their own. `make test WITH=` does without Qt (100 MB), and skips its tests.
WITH ?= qt

PIP = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test bench lint ctest clean

demo: $(VENV)/built
	$(VENV)/bin/ipcfast demo $(DIR)

test: $(VENV)/with-test $(WITH:%=$(VENV)/with-%)
	$(VENV)/bin/python -m pytest $(ARGS)

bench: $(VENV)/with-bench
	$(VENV)/bin/python -m $(or $(BENCH),bench) $(ARGS)

lint: $(VENV)/with-dev
	.ci/lint $(VENV)/bin

ctest:
	$(MAKE) -C csrc test

clean:
	rm -rf .venv* build dist wheelhouse csrc/build ipcfast/_native/*.so *.egg-info

# Installed in place, so that a change of a .py file needs nothing; a change of what is compiled installs again.
$(VENV)/built: $(NATIVE)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	@touch $@

# What an extra asks for, beside the package that is there already.
$(VENV)/with-%: pyproject.toml | $(VENV)/built
	$(PIP) 'ipcfast[$*]'
	@touch $@
