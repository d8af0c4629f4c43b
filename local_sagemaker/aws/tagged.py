"""Resource Groups Tagging API's GetResources over SageMaker's resources here: resources by tags.

`launch status` and `delete` ask for it.
"""

from local_sagemaker import contract, tags
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record

TARGET = "ResourceGroupsTaggingAPI_20170126.GetResources"


def found(platform: Platform, request: Record, region: str) -> Record:
    """GetResources, all on one page: the resources of a region that have all the wanted tags."""
    asked = contract.check("GetResources", request, "resourcegroupstaggingapi")
    wanted = [
        (entry.get("Key", ""), entry.get("Values", [])) for entry in asked.get("TagFilters", [])
    ]
    types = asked.get("ResourceTypeFilters") or ["sagemaker"]
    mappings = []
    for record in platform.store.all(tags.KIND):
        arn = record["Arn"]
        held = {tag["Key"]: tag["Value"] for tag in record["Tags"]}
        if arn.split(":")[3] == region and _is_of(arn, types) and _has(held, wanted):
            mappings.append({"ResourceARN": arn, "Tags": record["Tags"]})
    return {"PaginationToken": "", "ResourceTagMappingList": mappings}


def _is_of(arn: str, types: list[str]) -> bool:
    """Whether an ARN is of one of the types, such as sagemaker or sagemaker:endpoint."""
    kind = arn.split(":")[5].partition("/")[0]
    return "sagemaker" in types or f"sagemaker:{kind}" in types


def _has(held: dict[str, str], wanted: list[tuple[str, list[str]]]) -> bool:
    """Whether all wanted keys are held, each with one of its values; no values mean any."""
    for key, values in wanted:
        if key not in held or (values and held[key] not in values):
            return False
    return True
