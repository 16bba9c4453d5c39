"""Makes the helpers beside this file (`tree`) importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
