"""The one error of this package."""


class RunError(RuntimeError):
    """An image or a program could not be run, or it failed; the text says which one and why."""
