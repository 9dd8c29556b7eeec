"""Found by a Python process whose PYTHONPATH names this folder: installs the faults that KSHOT_TEST_FAULTS
asks for, as JSON."""

import json
import os
import sys
from pathlib import Path

if os.environ.get("KSHOT_TEST_FAULTS"):
    sys.path.append(str(Path(__file__).resolve().parent.parent))
    from fault_injection import Faults

    Faults(**json.loads(os.environ["KSHOT_TEST_FAULTS"])).install()
