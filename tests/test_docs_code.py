"""Run every block of Python on every page of the docs, a page from its top to its end.

What a page takes for granted, such as a file to read, is in its `testsetup` blocks, which readers
do not see. Blocks that need a package that is missing are skipped and named. Scripts, whose caption
is the name of a file, need nothing above them.
"""

import warnings

import pytest
from helpers import DOCS, run_script, run_snippets, snippets, warnings_are_errors

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
# sections that need nothing above them, and whose results are checked elsewhere: one run for both
ALONE = {
    "forecasting": [
        "From a CSV file to a forecast",
        "Many series",
        "What is known in advance",
    ]
}
SCRIPTS = {
    "classification": ["classify.py"],
    "forecasting": ["forecast.py"],
    "streaming": ["train.py", "serve.py"],
}
WITH_CODE = [name for name, text in PAGES.items() if snippets(text)]


def test_pages_are_found():
    assert len(WITH_CODE) >= 10
    n_blocks = sum(text.count(".. code-block:: python\n") for text in PAGES.values())
    assert n_blocks == sum(
        not snippet.is_setup for text in PAGES.values() for snippet in snippets(text)
    )


def test_scripts_are_found():
    for page, names in SCRIPTS.items():
        assert [block.caption for block in snippets(PAGES[page]) if block.is_script] == names


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
            if snippet.title in ALONE.get(page, ()):
                with warnings_are_errors():
                    names.update(run_snippets(f"{page}.rst", snippet.title))
            elif snippet.is_script:
                names.update(run_script(snippet))
            else:
                where = f"{page}.rst, block at line {snippet.line}"
                exec(compile(snippet.code, where, "exec"), names)
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in OPTIONAL:
                raise
            missing.add(package)
    if missing:
        pytest.skip(f"all but the blocks that need {', '.join(sorted(missing))}")
