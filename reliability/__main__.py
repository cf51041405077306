"""`python -m reliability`."""

import sys

from reliability.run import main

if __name__ == "__main__":
    sys.exit(main())
