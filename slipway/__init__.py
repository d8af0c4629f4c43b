"""What a user's own notebook or training script imports."""

from slipway.export_error import ExportError
from slipway.loaded import Model, load
from slipway.own_network import export
from slipway.shown_report import Report, report

__all__ = ["ExportError", "Model", "Report", "export", "load", "report"]
