"""Models as users name them: the registry, fetching, finding and loading, and `Model`, a model to look into.

model = load("smollm2-135m-instruct", adapter="runs/a/adapter")
model.logits(ids); model.generate("text"); model.loss_and_gradients(rows)
"""

from luthier.models.fetch import fetch
from luthier.models.load import load
from luthier.models.locate import ModelSource, locate
from luthier.models.model import Model
from luthier.models.registry import KnownModel, known_models

__all__ = ["KnownModel", "Model", "ModelSource", "fetch", "known_models", "load", "locate"]
