"""The docs as a whole: pages of public objects, docstrings, and words to stumble over."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from helpers import DOCS

import skgru

ROOT = DOCS.parent
# scikit-learn's conventions: no extended summary is demanded, and results have names
NOT_CHECKED = {"ES01", "RT02"}
# made by a function of skgru and not by users: their pages say what they hold, not how to make them
NOT_CALLED = {"BacktestResults", "PipelineStream", "VersionWarning"}
# methods show their use in the examples of their class
OF_OBJECTS_ONLY = {"EX01", "SA01"}


def names_on_the_api_page():
    module, names = None, []
    for line in (DOCS / "api.rst").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"\.\. (?:current)?module:: (\S+)", line):
            module = heading[1]
        elif entry := re.fullmatch(r"   ([A-Za-z_][\w.]+)", line):
            names.append(f"{module}.{entry[1]}")
    return names


API = names_on_the_api_page()


def test_every_public_name_has_a_page():
    packages = [
        importlib.import_module(f"skgru.{path.parent.name}")
        for path in Path(skgru.__file__).parent.glob("*/__init__.py")
    ]
    public = {
        getattr(package, name)
        for package in [skgru, *packages]
        if package.__name__.rpartition(".")[2] in {name.split(".")[1] for name in API} | {"skgru"}
        for name in getattr(package, "__all__", [])
    }
    found = set()
    for name in API:
        module, _, last = name.rpartition(".")
        thing = getattr(importlib.import_module(module), last)
        if callable(thing):
            found.add(thing)
    assert {thing.__name__ for thing in public - found} <= {"stream_of"}  # of the package's own use


def described(name):
    """Yield the full name of an object, and those of its own public methods and properties."""
    yield name
    module, _, last = name.rpartition(".")
    thing = getattr(importlib.import_module(module), last)
    if inspect.isclass(thing):
        for method, value in vars(thing).items():
            described_here = inspect.isfunction(value) or isinstance(value, property)
            if described_here and not method.startswith("_"):
                yield f"{name}.{method}"


@pytest.mark.parametrize("name", [name for name in API if not name.endswith("TRUSTED_TYPES")])
def test_docstrings_are_valid(name):
    validate = pytest.importorskip("numpydoc.validate").validate
    wrong = []
    for part in described(name):
        skipped = NOT_CHECKED | (OF_OBJECTS_ONLY if part != name else set())
        if part.rpartition(".")[2] in NOT_CALLED:
            skipped |= {"PR01", *OF_OBJECTS_ONLY}
        wrong += [(part, *error) for error in validate(part)["errors"] if error[0] not in skipped]
    assert not wrong


# ---- words ---------------------------------------------------------------------------------------

PER = r"(?:sequence|step|time step|class|output)"
PHRASES = {
    r"there and back|goes? back there|way back": "forward and backward pass",
    r"knows? (?:its|the) samples by heart": "overfits",
    rf"\b(?:a|one) (?:label|prediction|number|entry|row|logit) (?:a|each) {PER}\b": "per …",
    r"learnt": "learned",
    r"(?:is|are) told of": "is raised, warns",
    r"no bad place to begin": "a good default",
    r"what takes its estimators": "works wherever a scikit-learn estimator does",
    r"are borne": "patience",
    r"of no matter": "does not matter",
    r"wants? (?:2-D|rows)": "needs",
    r"comes? off the guess": "improves on",
    r"the dear part": "the expensive part",
    r"nobody knew": "say what to set",
    r"\bsay it themselves": "are known",
    r"drowned": "dominated",
    r"of equal ones the": "the latest of equal ones",
    r"(?:is|are) of use for": "suits",
    r"what it is to predict": "the answer",
    r"is a lottery": "depends on chance",
    r"\bcome and go\b": "have the form of",
    r"\bwants\b": "needs",
    r"\bthe guess\b": "the constant prediction",
    r"knows? nothing of": "does not depend on, ignores",
    r"\bhands? (?:it|them) out": "distributes",
    r"turns? (?:it|them) round": "swaps",
    r"came out alike": "had the same",
    r"There for a common": "accepted for the common interface",
    r"\b(?:That|Those) of (?:the fit|the task)\.": "context of the fit",
    r", see there\b": "as in …",
    r"What time stamps are apart": "interval between time stamps",
    r", by all methods": "every method …",
    r"\b(?:is|are) not looked at": "is ignored",
    r"has to be told": "tell",
    r"that are there(?: already)?\.": "exist",
    r"\b(?:one|a) thing to a checkout": "part",
    r"\bplaces? (?:is|are) the question": "test",
    r"so far back": "early",
    r"\bhands the network": "gives",
    r"see what \w+ falls by": "measure how much … falls",
    r"Knowing nothing": "without any knowledge",
    r"take what they document": "document what they support",
    r"half of it\.\*\*": "is only partly supported",
    r"they do not show\b": "is not shown",
    r"for each of which": "each of which has",
    r"\bmay flatter|figures may flatter": "may be optimistic",
}


def written():
    """Yield the files that readers read: pages, examples, docstrings, README, CONTRIBUTING."""
    yield from sorted(DOCS.glob("*.rst"))
    yield from sorted((ROOT / "examples").glob("*.py"))
    yield from sorted(Path(skgru.__file__).parent.rglob("*.py"))
    yield ROOT / "README.md"
    yield ROOT / "CONTRIBUTING.md"


@pytest.mark.parametrize("path", list(written()), ids=lambda path: path.name)
def test_words(path):
    text = re.sub(r"\s+", " ", path.read_text(encoding="utf-8"))
    found = [
        (match[0], better) for bad, better in PHRASES.items() for match in re.finditer(bad, text)
    ]
    assert not found
