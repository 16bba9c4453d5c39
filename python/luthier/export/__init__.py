"""What leaves Luthier: adapter folders as PEFT reads them and merged model folders as Transformers reads them."""

from luthier.export.adapter import Adapter, AdapterConfig, read_adapter, write_adapter
from luthier.export.merged import fill_merged_folder, write_merged_folder

__all__ = ["Adapter", "AdapterConfig", "fill_merged_folder", "read_adapter", "write_adapter", "write_merged_folder"]
