.PHONY: install demo test test-long elasticsearch lock

install:           ## virtual environment, locked packages, ffmpeg where it may be installed
	@bash tools/install.sh

demo:              ## index the sample archive, with what is to be seen and read in it, and search it
	@LOCK=requirements-demo.lock bash tools/install.sh
	@bash tools/demo.sh

test:              ## everything the tests need, then the checks and the tests
	@LOCK=requirements-test.lock bash tools/install.sh
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports
	@.venv/bin/python -m pytest -n 2 --dist worksteal

test-long: test    ## the tests of endurance at their full length, and Spark (an hour and a half more)
	@tools/uv pip install --quiet --require-hashes -r requirements-spark.lock
	@.venv/bin/python -m pytest --long -m long

lock:              ## new lock files from pyproject.toml
	tools/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -q pyproject.toml requirements-build.in -o requirements.lock
	tools/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -q pyproject.toml requirements-build.in --extra test -c requirements.lock -o requirements-test.lock
	tools/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -q pyproject.toml requirements-build.in --extra ocr -c requirements-test.lock -o requirements-demo.lock
	tools/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -q pyproject.toml requirements-build.in --extra kubernetes -c requirements.lock -o requirements-image.lock
	tools/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock' -q requirements-spark.in -c requirements-test.lock -o requirements-spark.lock

elasticsearch:     ## a real Elasticsearch without Docker, on port 9200 until Ctrl-C (Maven, Java 21 or newer)
	@tools/elasticsearch
