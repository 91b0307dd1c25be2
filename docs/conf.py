import sys
import warnings
from pathlib import Path

from sklearn.exceptions import ConvergenceWarning

import skgru

docs = Path(__file__).parent
sys.path.insert(0, str(docs / "_ext"))

import inventories

# an example that warns is an example that fails
warnings.filterwarnings("error", module="skgru")
warnings.filterwarnings("error", category=ConvergenceWarning)

project = "skgru"
copyright = "2026, the skgru developers"
version = release = skgru.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    # of these docs, in _ext
    "backticks",
    "benchmark",
    "benchmark_lines",
    "estimator_pages",
    "mathml",
]
exclude_patterns = ["_build", "_templates", "_outputs", "README.md"]
templates_path = ["_templates"]
default_role = "name"

html_theme = "pydata_sphinx_theme"
html_title = "skgru"
html_show_sourcelink = False
html_theme_options = {"header_links_before_dropdown": 8, "show_nav_level": 2}
html_static_path = ["_static"]
html_css_files = ["skgru.css"]
html_math_renderer = "mathml"
toc_object_entries_show_parents = "hide"

intersphinx_mapping = inventories.mapping(docs / "_inventories", docs / "_build" / "inventories")

numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"  # numpydoc's sections say it
autosummary_generate = True
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "thumbnail_size": (480, 300),
    "show_memory": False,
    "write_computation_times": False,  # its page loads scripts from elsewhere
    "download_all_examples": False,
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("skgru",),
    "inspect_global_variables": False,
}
