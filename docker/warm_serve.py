"""Run once while the serving image is built: it imports and runs the parts of a server.

That proves that the trimmed install works, and leaves the bytecode of the needed modules only. It
knows nothing of Slipway's own code.
"""

import openvino
import prometheus_client.multiprocess  # noqa: F401  for its bytecode
import uvicorn_worker  # noqa: F401  for its bytecode
from PIL import features
from warm_engine import check_openvino, check_photos
from warm_http import check_flask, check_traces, numbers


def main() -> None:
    import gunicorn.app.base

    check_photos()
    check_openvino()
    check_flask()
    check_traces()
    jpeg_turbo = features.version("libjpeg_turbo")
    print(
        f"warm_serve: openvino {openvino.__version__}, jpeg turbo {jpeg_turbo}, "
        f"gunicorn {gunicorn.__version__}, {numbers()}"
    )


if __name__ == "__main__":
    main()
