"""`python -m luthier`: the command line."""

import sys

from luthier.cli.main import main

sys.exit(main())
