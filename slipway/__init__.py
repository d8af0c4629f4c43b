"""What a user's own training script imports: `slipway.export`."""

from slipway.export_error import ExportError
from slipway.own_network import export

__all__ = ["ExportError", "export"]
