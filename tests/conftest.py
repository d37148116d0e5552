"""How tests work here: Hypothesis has new examples at every desk, the same ones in every CI run; no test keeps runs."""

import os

from hypothesis import settings

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

# A pytest that a test starts is no worker of this one, and pytest-benchmark would not time there.
os.environ.pop("PYTEST_XDIST_WORKER", None)

os.environ["LOOPRIG_STORE"] = "none"  # a test that looks at what is kept says where
