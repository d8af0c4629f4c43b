"""Whose defaults a rule's parameters have: ours, or those that SageMaker documents.

Ours fire less on sound trainings. Any rule takes `defaults=sagemaker` among its parameters.
"""

from collections.abc import Mapping

from diagnose.findings import DiagnoseError

DEFAULTS = "defaults"  # the parameter
OURS = "ours"
SAGEMAKER = "sagemaker"
CHOICES = (OURS, SAGEMAKER)


def documented(asked: str, sagemaker: Mapping[str, object]) -> dict[str, object]:
    """The parameters that `defaults=asked` sets. DiagnoseError for another word.

    sagemaker: the documented values of the parameters whose defaults here are others.
    """
    if asked == SAGEMAKER:
        return dict(sagemaker)
    if asked == OURS:
        return {}
    raise DiagnoseError(f"defaults must be {' or '.join(CHOICES)}; found '{asked}'")
