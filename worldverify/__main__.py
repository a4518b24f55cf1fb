"""`python -m worldverify`."""

import sys

from worldverify.cli import main

sys.exit(main())
