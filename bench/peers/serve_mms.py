"""multi-model-server over the model in /opt/ml/model, on port 8080.

SAGEMAKER_MODEL_SERVER_WORKERS is its number of workers.
"""

from sagemaker_inference import model_server

if __name__ == "__main__":
    model_server.start_model_server(handler_service="mms_handler")
