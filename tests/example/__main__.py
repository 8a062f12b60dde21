import sys

from example import install

install()

from nightscribe.cli import main  # noqa: E402 - the stages come first

sys.exit(main())
