"""For pytest: the example stages are there."""

from example import install

install()
