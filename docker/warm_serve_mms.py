"""Run once while the serve-mms image is built: it imports what its server and its workers need.

That proves that the trimmed install works, and leaves their bytecode. It knows nothing of Slipway's
own code.
"""

import importlib.util
import io

import mms.context  # noqa: F401  for its bytecode
import mms.model_loader  # noqa: F401  for its bytecode
import mms.model_service_worker  # noqa: F401  for its bytecode
import numpy as np
import psutil
import sagemaker_inference.decoder
import sagemaker_inference.default_handler_service  # noqa: F401  for its bytecode
import urllib3.connectionpool  # noqa: F401  for its bytecode
from warm_engine import check_openvino, check_photos
from warm_http import check_flask, check_traces, numbers


def check_decoder() -> None:
    """Raise SystemExit if sagemaker-inference's decoder still runs pickles."""
    stream = io.BytesIO()
    np.save(stream, np.array([{"an": "object"}]), allow_pickle=True)
    try:
        sagemaker_inference.decoder.decode(stream.getvalue(), "application/x-npy")
    except ValueError:
        return
    raise SystemExit("warm_serve_mms: sagemaker-inference's decoder still unpickles")


def main() -> None:
    check_photos()
    check_openvino()
    check_decoder()
    check_flask()
    check_traces()
    gone = [name for name in ("scipy", "boto3", "pip") if importlib.util.find_spec(name)]
    if gone:
        raise SystemExit(f"warm_serve_mms: {', '.join(gone)} should have been left out")
    print(
        f"warm_serve_mms: multi-model-server {mms.__version__}, "
        f"psutil {psutil.__version__}, {numbers()}"
    )


if __name__ == "__main__":
    main()
