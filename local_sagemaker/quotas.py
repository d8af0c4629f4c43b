"""SageMaker's part of the Service Quotas API, which `launch check` asks: what fits on this machine, for every type of instance."""

from local_sagemaker import contract
from local_sagemaker.record import Record

TARGET = "ServiceQuotasV20190624.ListServiceQuotas"
VALUE = 9.0  # hosts of one job that fit here
USES = {
    "TrainingInstanceType": ("training job usage", "spot training job usage"),
    "TransformInstanceType": ("transform job usage",),
    "ProductionVariantInstanceType": ("endpoint usage",),
}


def listed(request: Record) -> Record:
    """ListServiceQuotas, all on one page. ApiError for another service than SageMaker."""
    if request.get("ServiceCode") != "sagemaker":
        raise contract.ApiError(
            "NoSuchResourceException",
            f"local SageMaker has no quotas of '{request.get('ServiceCode')}'; ask for sagemaker's",
        )
    return {
        "Quotas": [
            {
                "ServiceCode": "sagemaker",
                "QuotaName": f"{kind} for {use}",
                "Value": VALUE,
                "Adjustable": False,
                "GlobalQuota": False,
            }
            for shape, uses in USES.items()
            for kind in contract.service().shape_for(shape).enum
            for use in uses
        ]
    }
