from example import install

install()

from nightscribe.cli import run  # noqa: E402 - the stages come first

run()
