"""Label files in: read, check, explain every rejected row."""

from geotransfer.labels.checking import CheckedLabels, Rejected, check_labels
from geotransfer.labels.columns import ColumnChoice, ColumnGuess
from geotransfer.labels.exports import write_labels_csv, write_rejected_csv
from geotransfer.labels.legends import ClassMatch, LegendMapping
from geotransfer.labels.personal import PersonalColumn
from geotransfer.labels.raw import FaultKind
from geotransfer.labels.reading import preview_labels, read_labels
from geotransfer.labels.table import LabelPreview, LabelTable

__all__ = [
    "CheckedLabels",
    "ClassMatch",
    "ColumnChoice",
    "ColumnGuess",
    "FaultKind",
    "LabelPreview",
    "LabelTable",
    "LegendMapping",
    "PersonalColumn",
    "Rejected",
    "check_labels",
    "preview_labels",
    "read_labels",
    "write_labels_csv",
    "write_rejected_csv",
]
