"""The example services, each with a model, an adapter, and bugs that can be switched on."""

import os

STARTED_BY = os.getppid()  # read before all that takes long to import: soon, that process may be gone
