"""Run every block of Python on every page of the docs, a page from its top to its end.

What a page takes for granted, such as a file to read, is in its `testsetup` blocks, which readers
do not see. Blocks that need a package that is missing are skipped and named.
"""

import warnings

import pytest
from helpers import DOCS, snippets

from skgru.exceptions import GradientWarning

OPTIONAL = {
    "captum",
    "dask",
    "dask_ml",
    "imblearn",
    "mlflow",
    "optuna",
    "shap",
    "skops",
    "torch",
    "tslearn",
}
# what runs the code of these pages: recipes on copies of the package, and other packages
ELSEWHERE = {"extending": "tests/extensions", "integrations": "tests/integrations"}
PAGES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(DOCS.glob("*.rst"))
    if path.stem not in ELSEWHERE
}
WITH_CODE = [name for name, text in PAGES.items() if snippets(text)]


def test_pages_are_found():
    assert len(WITH_CODE) >= 10
    n_blocks = sum(text.count(".. code-block:: python\n") for text in PAGES.values())
    assert n_blocks == sum(
        not snippet.is_setup for text in PAGES.values() for snippet in snippets(text)
    )


@pytest.mark.parametrize("page", WITH_CODE)
def test_code_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    warnings.simplefilter("default")  # for other packages; what skgru warns of is an error
    warnings.filterwarnings("error", module="skgru")
    # made-up data need not hold anything that far back
    warnings.simplefilter("ignore", GradientWarning)
    names, missing = {"__name__": "__main__"}, set()
    for snippet in snippets(PAGES[page]):
        try:
            exec(compile(snippet.code, f"{page}.rst, block at line {snippet.line}", "exec"), names)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in OPTIONAL:
                raise
            missing.add(package)
    if missing:
        pytest.skip(f"all but the blocks that need {', '.join(sorted(missing))}")
