"""`python -m model_training …` is `cva …`: what detached runs are started with."""

import sys

from model_training.cli.main import main

sys.exit(main())
