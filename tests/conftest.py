# SPDX-License-Identifier: Apache-2.0
"""How Hypothesis runs in every test: without a deadline, since a busy machine is no fault."""

import os

from hypothesis import settings

settings.register_profile("privet", deadline=None)
settings.register_profile("mutation", deadline=None, max_examples=25, derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "privet"))
