"""Luthier fits a small open-weights language model to one narrow job."""
