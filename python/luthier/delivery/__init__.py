"""The result of a fit handed out in the format that another program loads, and shown to answer as it did here.

export = deliver(subject, "folder", choose("gguf", quant="Q8_0")); print(export)
"""

from luthier.delivery.deliver import deliver
from luthier.delivery.export import EXPORT_FILE, Export
from luthier.delivery.formats import CHECKS, FORMATS, Choice, choose
from luthier.delivery.subject import Subject

__all__ = ["CHECKS", "EXPORT_FILE", "FORMATS", "Choice", "Export", "Subject", "choose", "deliver"]
