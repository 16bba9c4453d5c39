"""The demos: two tasks made from the documentation inside the Python that runs, fitted and judged in minutes.

run_demo("functions", "demo")      # signature and docstring -> one JSON object
run_demo("sort", "demo")           # docstring -> area of the library
"""

from luthier.demo.recipe import RECIPES, Recipe
from luthier.demo.run import DemoResult, run_demo

__all__ = ["RECIPES", "DemoResult", "Recipe", "run_demo"]
