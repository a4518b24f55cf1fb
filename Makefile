# Needs make, and Python 3.11 or newer with pip (or with its venv module). All else is installed into .venv,
# which belongs to this file: it is made anew when it was made for another folder or its Python is gone.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check -qq install --no-user -c constraints.txt

# Would install elsewhere, import other people's code first, or load OpenGL, which nothing here needs.
unexport PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_VIRTUALENV PYTHONPATH PYTHONHOME MUJOCO_GL PYOPENGL_PLATFORM

ifneq ($(shell test -x $(PY) && cat $(VENV)/made-for 2>/dev/null),$(CURDIR))
.PHONY: $(VENV)/made-for
endif

.NOTPARALLEL: # pip and the tools share one folder
.PHONY: demo test test-engines test-tasks test-tasks-on-warp test-peers test-integrations trainers check lint types format validity gpu clean

demo: $(VENV)/ready-to-run
	@$(VENV)/bin/worldverify demo

test: $(VENV)/ready-to-test
	@$(PY) -P -m pytest -n auto --dist loadgroup -m "not engines and not tasks and not tasks_on_warp and not peers and not integrations" $(ARGS)

# The conformance suite, the self-test and parity on MJX: minutes of compiling.
test-engines: $(VENV)/ready-to-test
	@$(PY) -P -m pytest -n auto --dist loadgroup -m engines $(ARGS)

# Every task from a hundred seeds, and what `make test` checks of some tasks only: minutes.
test-tasks: $(VENV)/ready-to-test
	@$(PY) -P -m pytest -n auto --dist loadgroup -m tasks $(ARGS)

# The same on the CPU device of Warp, from one seed: some three minutes a task.
test-tasks-on-warp: $(VENV)/ready-to-test
	@$(PY) -P -m pytest -n auto --dist loadgroup -m tasks_on_warp $(ARGS)

# Other people's scenes. Only files of theirs are read, so what robosuite itself needs is left out.
test-peers: $(VENV)/ready-to-test
	@$(PIP) --no-build-isolation -e '.[peers]'
	@$(PIP) --no-deps robosuite mujoco-warp
	@$(PY) -P -m pytest -n auto --dist loadgroup -m peers -rs $(ARGS)

# TRL, veRL and Stable-Baselines3 themselves, in a folder of their own: veRL needs another version of ANTLR than the tests' oracle.
test-integrations:
	@$(MAKE) VENV=.venv-trainers trainers

trainers: $(VENV)/ready-to-run
	@$(PY) -m pip --disable-pip-version-check -qq install --no-user -c constraints-trainers.txt \
	  --no-build-isolation -e '.[trl,verl]' hypothesis matplotlib pytest pytest-xdist stable-baselines3
	@$(PY) -P -m pytest -m integrations $(ARGS)

check: lint types test

lint: $(VENV)/ready-to-test
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

types: $(VENV)/ready-to-test
	@$(PY) -m mypy

format: $(VENV)/ready-to-test
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

# The formulas of mechanics, and other people's tasks with their own success flags: docs/validity.md.
validity: $(VENV)/ready-to-run
	@$(PIP) --no-build-isolation -e '.[peers]'
	@$(PY) -P examples/analytic_cases.py
	@$(PY) -P examples/fetch_agreement.py

# Self-test, parity and the benchmark, into one folder; on CPU devices, with little work, where there is no GPU.
OUT ?= gpu-report
gpu: $(VENV)/ready-for-gpu
	@$(PY) -m worldverify.bench.suite $(OUT)

clean:
	rm -rf $(VENV) .venv-trainers .tools .mypy_cache .pytest_cache .ruff_cache .hypothesis .test-cache build dist *.egg-info worldverify-report gpu-report

# Debian and Ubuntu keep ensurepip in a package of its own, and their pip installs only into a given folder.
$(VENV)/made-for:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "worldverify needs Python 3.11 or newer. Name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@rm -rf $(VENV) .tools
	@if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -c 'import pip' 2>/dev/null; then \
	  $(PYTHON) -m pip --disable-pip-version-check -qq install --no-user -c constraints.txt --target .tools virtualenv && \
	  PYTHONPATH=.tools $(PYTHON) -m virtualenv -q --no-periodic-update $(VENV) && \
	  rm -rf .tools; \
	else echo "$(PYTHON) has neither pip nor ensurepip. On Debian: apt install python3-pip" >&2; exit 1; fi
	@echo '$(CURDIR)' > $@

$(VENV)/ready-to-run: $(VENV)/made-for pyproject.toml constraints.txt
	@echo "Installing worldverify into $(VENV) ..."
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/ready-to-test: $(VENV)/ready-to-run
	@echo "Installing the test tools into $(VENV) ..."
	@$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@

# JAX's plugin for CUDA is large, and of no use without a driver. CUDA=12 for a driver older than 580.
CUDA ?= 13
$(VENV)/ready-for-gpu: $(VENV)/ready-to-run
	@echo "Installing the GPU engines into $(VENV) ..."
	@$(PIP) --no-build-isolation -e '.[warp]'
	@$(PIP) mujoco-warp || echo "Without mujoco-warp, which is only measured: its row is left out." >&2
	@test ! -e /proc/driver/nvidia/version || $(PIP) 'jax[cuda$(CUDA)]'
	@touch $@
