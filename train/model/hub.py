"""timm's published weights from the hub, or from a mirror of it that HF_ENDPOINT names."""

import contextlib
import logging
from collections.abc import Iterator

from artifact.networks.timm_network import timm_model
from train.model.weight_names import Weights

ANSWER_S = 10  # in which the hub must answer a first request

log = logging.getLogger(__name__)


class HubError(Exception):
    """Weights that the hub did not give: why, as a part of a sentence."""


def fetch(architecture: str, tag: str, image_size: int) -> Weights:
    """The weights of a timm model, in its form at this image size. Raises HubError.

    Without a network, those that were fetched before are found in the hub's cache (HF_HOME).
    """
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # a log has no use for them
    with _offline_where_unreachable() as reason:
        try:
            model = timm_model(architecture, image_size, tag, pretrained=True)
        # the hub's client raises nearly anything without a network, timm for other forms
        except Exception as error:
            raise HubError(reason or _first_line(error)) from error
    state: Weights = model.state_dict()
    return state


@contextlib.contextmanager
def _offline_where_unreachable() -> Iterator[str]:
    """Why the hub does not answer, or "". Its client is then kept from trying for a minute."""
    from huggingface_hub import constants
    from huggingface_hub.utils._http import get_session

    reason = ""
    before = constants.HF_HUB_OFFLINE
    if before:
        reason = "HF_HUB_OFFLINE is set"
    else:
        log.info("weights: asking %s", constants.ENDPOINT)
        try:
            get_session().head(constants.ENDPOINT, timeout=ANSWER_S)
        except Exception as error:  # of the HTTP library that the hub's client brings
            reason = f"{constants.ENDPOINT}: {_first_line(error)}"
    constants.HF_HUB_OFFLINE = before or bool(reason)
    try:
        yield reason
    finally:
        constants.HF_HUB_OFFLINE = before


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
