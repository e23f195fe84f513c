# The set-up lives in .venv and is made once: .venv/ready for serving and exporting, .venv/ready-test for the rest.
PYTHON := .venv/bin/python
CATALOG := catalogs/finance.jsonl
NULL_TOPICS := catalogs/null_topics.jsonl
# Two workers: most tests are one thread of Python. tests/conftest.py says which of them stay together in one worker.
PYTEST := $(PYTHON) -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder
# Tests start hundreds of Pythons, each of which would compile the project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo serve console test quick check setup lock export bench soak clean

demo: export  ## Set up, export the bundled encoder, publish the sample catalog, serve, and ask a dozen queries
	$(PYTHON) -m server.demo

serve: export  ## The same, with an engine for documents, and stay up
	$(PYTHON) -m server --documents

console: export  ## The search console on http://127.0.0.1:8010, with the sample catalog at first, and a server if none runs
	$(PYTHON) -m console import $(CATALOG) --only-if empty
	$(PYTHON) -m server.with_console --null-topics $(NULL_TOPICS)

test: export .venv/ready-test  ## Set up and pass the tests: ruff, types, imports, pytest; all but the soak
	$(MAKE) check
	$(PYTEST) -m "not soak"

quick: export .venv/ready-test  ## The tests that need no server, in under a minute
	$(PYTEST) -m "not live and not slow and not soak" -q

check: .venv/ready-test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy .
	.venv/bin/lint-imports --no-logo
	for adapter in model_repository/*/1/model.py server/backends/*/model.py; do $(PYTHON) -m mypy $$adapter || exit 1; done

bench: export .venv/ready-test  ## Requests/s and latency by sequence length, in under 5 minutes
	$(PYTHON) -m benchmarks sweep --quick

soak: export .venv/ready-test  ## What a server must survive, in about 40 minutes: tables, and soak.json
	$(PYTHON) -m tests.soak --json soak.json
	$(PYTHON) -m pytest -m soak

setup: .venv/ready

# Files that are newer than what serves are published, until a console has published: then its store counts.
export: .venv/ready  ## Export and publish, where that was not done yet, or an older version did it that this one refuses
	$(PYTHON) -m export encoder --only-if missing
	$(PYTHON) -m export catalog publish $(CATALOG) --null-topics $(NULL_TOPICS) --offline \
		$$(test ! -e index/console-publish.json -a $(CATALOG) -nt index/CURRENT -o \
			! -e index/console-publish.json -a $(NULL_TOPICS) -nt index/CURRENT || echo --only-if missing)

.venv/ready: pyproject.toml requirements.lock core/pyproject.toml client/pyproject.toml documents/pyproject.toml server/install.sh
	sh server/install.sh

.venv/ready-test: .venv/ready
	sh server/install.sh test

lock: .venv/ready  ## Write requirements.lock anew, after a change of pyproject.toml's dependency groups
	$(PYTHON) -m server.lock

clean:  ## Remove everything that was made
	rm -rf .venv index models
	rm -f model_repository/encoder/1/model.onnx* model_repository/tokenizer/1/tokenizer.json
	rm -f model_repository/tokenizer/1/encoder.json
