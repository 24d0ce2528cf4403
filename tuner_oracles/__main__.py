"""Runs ``python -m tuner_oracles``: a chief and workers on one machine."""

import sys

from tuner_oracles.launch import main

sys.exit(main())
