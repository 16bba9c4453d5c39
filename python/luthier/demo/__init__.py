"""The demos: two tasks made from the documentation inside the Python that runs, checked, fitted and judged in minutes.

run_demo("functions", "demo")      # signature and docstring -> one JSON object
run_demo("sort", "demo")           # docstring -> area of the library
function_rows(); sort_rows()       # their rows, as chats
"""

from luthier.demo.functions import SCHEMA, function_rows
from luthier.demo.recipe import RECIPES, Recipe
from luthier.demo.run import DemoResult, run_demo
from luthier.demo.sort import sort_rows

__all__ = ["RECIPES", "SCHEMA", "DemoResult", "Recipe", "function_rows", "run_demo", "sort_rows"]
