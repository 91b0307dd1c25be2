from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Ignore warnings, except those that skgru causes."""
    only_ours = pytest.mark.filterwarnings("ignore", "error:::skgru")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(only_ours, append=False)
