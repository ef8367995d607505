"""``python -m feedmill`` is ``feedmill``."""

from feedmill.cli.main import main

main()
