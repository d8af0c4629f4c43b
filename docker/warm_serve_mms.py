"""Run once while the serve-mms image is built, after warm_serve.py's checks of OpenVINO and Pillow: imports what MMS's workers
import, so that it proves the trimmed install works and leaves their bytecode. It knows nothing of Slipway's own code.
"""

import importlib.util

import mms.context  # noqa: F401
import mms.model_loader  # noqa: F401
import mms.model_service_worker  # noqa: F401
import psutil
import sagemaker_inference.environment  # noqa: F401
import sagemaker_inference.errors  # noqa: F401
import werkzeug.formparser  # noqa: F401

import warm_serve


def main():
    warm_serve.check_photos()
    warm_serve.check_openvino()
    gone = [name for name in ("scipy", "boto3", "pip") if importlib.util.find_spec(name)]
    if gone:
        raise SystemExit(f"warm_serve_mms: {', '.join(gone)} should have been left out")
    print(f"warm_serve_mms: multi-model-server {mms.__version__}, psutil {psutil.__version__}")


if __name__ == "__main__":
    main()
