"""Small data sets of real sequences that come with the package."""

from skgru.datasets._loaders import load_co2, load_japanese_vowels, load_sunspots

__all__ = ["load_co2", "load_japanese_vowels", "load_sunspots"]
