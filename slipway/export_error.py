"""The error of slipway.export."""


class ExportError(ValueError):
    """A network, class names or a preprocessing that make no artifact: one sentence for a user."""
