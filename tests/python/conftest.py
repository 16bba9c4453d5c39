"""Makes the helpers beside this file (`tiny_model`) importable from every test folder below."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
