"""`python -m dtq`."""

import sys

from dtq.cli import main

sys.exit(main())
