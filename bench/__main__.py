"""``python -m bench`` is `bench.run`."""

from bench.run import main

main()
