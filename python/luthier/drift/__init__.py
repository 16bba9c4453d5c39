"""How rows are described so that later ones can be compared with them: features, the reference a fit keeps, and tests.

reference = build_reference(records, tokenizer); reference.save(path); Reference.load(path)
"""

from luthier.drift.features import RowFeatures, row_features
from luthier.drift.reference import REFERENCE_FILE, Reference, build_reference, sample_records

__all__ = ["REFERENCE_FILE", "Reference", "RowFeatures", "build_reference", "row_features", "sample_records"]
