"""The settings with which SageMaker's SDKs, v2 and v3, find the role and the bucket here.

Both SDKs ask STS at an address of AWS's own that no variable moves. They ask for nothing where
their configuration file names bucket and role.
Source: "Configuring and using defaults with the SageMaker Python SDK" in the SDK's documentation.
"""

import json
from pathlib import Path

from local_sagemaker.record import Record

FILE = "sdk.yaml"  # in the state's folder
# The administrator's file: a user's own one goes before it.
VARIABLE = "SAGEMAKER_ADMIN_CONFIG_OVERRIDE"


def write(folder: Path, role_arn: str, bucket: str) -> dict[str, str]:
    """Write the file; the variable that names it to the SDKs."""
    path = folder / FILE
    path.write_text(json.dumps(_settings(role_arn, bucket), indent=2) + "\n", encoding="utf-8")
    return {VARIABLE: str(path)}


def _settings(role_arn: str, bucket: str) -> Record:
    role = {"RoleArn": role_arn}
    modules = {
        "Session": {"DefaultS3Bucket": bucket},
        # What runs here is told to nobody.
        "TelemetryOptOut": True,
    }
    return {
        "SchemaVersion": "1.0",
        "SageMaker": {
            "PythonSDK": {"Modules": modules},
            "TrainingJob": role,
            "ProcessingJob": role,
            "Pipeline": role,
            "Model": {"ExecutionRoleArn": role_arn},
        },
    }
