import warnings

from sklearn.exceptions import ConvergenceWarning

import skgru

# an example that warns is an example that fails
warnings.filterwarnings("error", module="skgru")
warnings.filterwarnings("error", category=ConvergenceWarning)

project = "skgru"
copyright = "2026, the skgru developers"
version = release = skgru.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "README.md"]
html_theme = "pydata_sphinx_theme"
html_title = "skgru"
html_show_sourcelink = False

numpydoc_show_class_members = False
autodoc_typehints = "none"  # numpydoc's sections say it

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "show_memory": False,
    "download_all_examples": False,
}
