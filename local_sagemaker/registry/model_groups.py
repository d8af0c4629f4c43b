"""Operations on groups of model packages: create, describe, list, delete."""

from local_sagemaker import tags
from local_sagemaker.contract import ApiError, invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page

KIND = "model-package-group"
NAME = "ModelPackageGroupName"
PACKAGE = "model-package"  # the kind of a group's members
CONFLICT = "ConflictException"


def create(platform: Platform, request: Record, region: str) -> Record:
    name = request[NAME]
    record = {
        **request,
        "ModelPackageGroupArn": arn(region, KIND, name),
        "Region": region,
        "ModelPackageGroupStatus": "Completed",
        "LastVersion": 0,  # a version's number is given once, also after its package was deleted
    }
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["ModelPackageGroupArn"],
        invalid(f"Model Package Group already exists: {record['ModelPackageGroupArn']}"),
    )
    return record


def found(platform: Platform, given: str, region: str) -> Record:
    """A group's record, by its name or ARN. ApiError when there is none."""
    name = given.rpartition("/")[2]
    record = platform.store.find(KIND, name)
    if record is None:  # an ARN has small letters
        wanted = arn(region, KIND, name)
        groups = platform.store.all(KIND)
        record = next((one for one in groups if one["ModelPackageGroupArn"] == wanted), None)
        if record is None or given == name:
            raise invalid(f"ModelPackageGroup {wanted} does not exist.")
    return record


def members(platform: Platform, group: Record) -> list[Record]:
    """The records of a group's packages."""
    packages = platform.store.all(PACKAGE)
    return [package for package in packages if package.get(NAME) == group[NAME]]


def describe(platform: Platform, request: Record, region: str) -> Record:
    return found(platform, request[NAME], region)


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, NAME, None, "Ascending")
    return {"ModelPackageGroupSummaryList": records, "NextToken": token}


def delete(platform: Platform, request: Record, region: str) -> Record:
    group = found(platform, request[NAME], region)
    if members(platform, group):
        raise ApiError(
            CONFLICT,
            f"Cannot delete the model package group {group['ModelPackageGroupArn']}: it has "
            "model packages; delete them first",
        )
    platform.store.remove(KIND, group[NAME])
    tags.forget(platform, group["ModelPackageGroupArn"])
    return {}


OPERATIONS = {
    "CreateModelPackageGroup": create,
    "DescribeModelPackageGroup": describe,
    "ListModelPackageGroups": list_all,
    "DeleteModelPackageGroup": delete,
}
