"""Run once while the serve-mms image is built, in place of warm_serve.py: imports what MMS's workers
import, so that it proves the trimmed install works and leaves their bytecode. It knows nothing of Slipway's own code.
"""

import importlib.util
import io

import mms.context  # noqa: F401
import mms.model_loader  # noqa: F401
import mms.model_service_worker  # noqa: F401
import numpy as np
import psutil
import sagemaker_inference.decoder
import sagemaker_inference.default_handler_service  # noqa: F401
import werkzeug.formparser  # noqa: F401
from warm_engine import check_openvino, check_photos


def check_decoder():
    stream = io.BytesIO()
    np.save(stream, np.array([{"an": "object"}]), allow_pickle=True)
    try:
        sagemaker_inference.decoder.decode(stream.getvalue(), "application/x-npy")
    except ValueError:
        return
    raise SystemExit("warm_serve_mms: sagemaker-inference's decoder still unpickles")


def main():
    check_photos()
    check_openvino()
    check_decoder()
    gone = [name for name in ("scipy", "boto3", "pip") if importlib.util.find_spec(name)]
    if gone:
        raise SystemExit(f"warm_serve_mms: {', '.join(gone)} should have been left out")
    print(f"warm_serve_mms: multi-model-server {mms.__version__}, psutil {psutil.__version__}")


if __name__ == "__main__":
    main()
