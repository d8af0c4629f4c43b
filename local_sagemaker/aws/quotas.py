"""SageMaker's part of the Service Quotas API, which `launch check` asks.

It gives what fits on this machine, for every type of instance.
"""

from local_sagemaker import contract
from local_sagemaker.record import Record

TARGET = "ServiceQuotasV20190624.ListServiceQuotas"
VALUE = 9.0  # hosts of one job that fit here
# By the enumeration of instance types in botocore's model: the ends of the quotas' names.
USES = {
    "TrainingInstanceType": ("training job usage", "spot training job usage"),
    "TransformInstanceType": ("transform job usage",),
    "ProcessingInstanceType": ("processing job usage",),
    "ProductionVariantInstanceType": ("endpoint usage",),
}


def listed(request: Record) -> Record:
    """ListServiceQuotas, all on one page. ApiError for another service than SageMaker."""
    code = contract.check("ListServiceQuotas", request, "service-quotas")["ServiceCode"]
    if code != "sagemaker":
        raise contract.ApiError(
            "NoSuchResourceException",
            f"local SageMaker has no quotas of '{code}'; ask for sagemaker's",
        )
    quotas = []
    for shape, uses in USES.items():
        for kind in contract.service().shape_for(shape).metadata["enum"]:
            quotas += [_quota(f"{kind} for {use}") for use in uses]
    return {"Quotas": quotas}


def _quota(name: str) -> Record:
    return {
        "ServiceCode": "sagemaker",
        "QuotaName": name,
        "Value": VALUE,
        "Adjustable": False,
        "GlobalQuota": False,
    }
