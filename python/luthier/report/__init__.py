"""What a run gets wrong, and the page that tells all about it.

find_errors("runs/a")               # the worst rows, confusions, labels that look wrong, nearest training rows
write_report("runs/a")              # runs/a/report.html, one file without anything from the network
write_report("runs/a").pictures["learning"]             # a chart of it on its own, for a notebook
"""

from luthier.report.error_rows import Confusion, ErrorReport, ErrorRow, Neighbour
from luthier.report.errors import find_errors
from luthier.report.model_card import write_model_card
from luthier.report.pictures import Picture
from luthier.report.run import Report, write_report

__all__ = [
    "Confusion",
    "ErrorReport",
    "ErrorRow",
    "Neighbour",
    "Picture",
    "Report",
    "find_errors",
    "write_model_card",
    "write_report",
]
