"""Operations on model packages: create, describe, list, update, delete; what a model takes of one.

A package is a version of its group, or, without a group, has a name of its own.
"""

from itertools import chain

from local_sagemaker import tags
from local_sagemaker.contract import invalid
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import model_groups
from local_sagemaker.registry.model_data import check_container
from local_sagemaker.registry.model_groups import PACKAGE as KIND
from local_sagemaker.store import arn, page

GROUP = model_groups.NAME
NAME = "ModelPackageName"
ARN = "ModelPackageArn"
APPROVAL = "ModelApprovalStatus"
PENDING = "PendingManualApproval"
APPROVED = "Approved"
PROPERTIES = "CustomerMetadataProperties"
FURTHER = "AdditionalInferenceSpecifications"
# What UpdateModelPackage puts in the place of what was there.
REPLACED = (
    *(APPROVAL, "ApprovalDescription", "ModelPackageRegistrationType"),
    *("InferenceSpecification", "SourceUri", "ModelCard", "ModelLifeCycle"),
)
# What a model takes of a package's container.
TAKEN = ("Image", "ModelDataUrl", "ModelDataSource")


def create(platform: Platform, request: Record, region: str) -> Record:
    _check(platform, request)
    if GROUP not in request:
        return _add(platform, request[NAME], {**request, ARN: arn(region, KIND, request[NAME])})
    group = model_groups.found(platform, request[GROUP], region)
    earlier = _same_request(model_groups.members(platform, group), request)
    if earlier is not None:
        return earlier
    with platform.store.changing(model_groups.KIND, group[GROUP]) as held:
        held["LastVersion"] += 1
        version = held["LastVersion"]
    record = {
        APPROVAL: PENDING,
        **request,
        GROUP: group[GROUP],
        "ModelPackageVersion": version,
        ARN: arn(region, KIND, f"{group[GROUP]}/{version}"),
    }
    return _add(platform, _key(f"{group[GROUP]}/{version}"), record)


def _same_request(members: list[Record], request: Record) -> Record | None:
    """What an earlier try of the same request has made: clients send it again."""
    token = request.get("ClientToken")
    if not token:
        return None
    return next((one for one in members if one.get("ClientToken") == token), None)


def _add(platform: Platform, key: str, record: Record) -> Record:
    complete = {
        "ModelPackageRegistrationType": "Registered",
        "CertifyForMarketplace": False,
        **record,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
    }
    taken = invalid(f"Model Package already exists: {record[ARN]}")
    tags.add_tagged(platform, KIND, key, complete, record[ARN], taken)
    return complete


def _check(platform: Platform, request: Record) -> None:
    """ApiError for a package that cannot be made here."""
    if (NAME in request) == (GROUP in request):
        raise invalid("Exactly one of ModelPackageName and ModelPackageGroupName must be specified")
    if NAME in request and APPROVAL in request:
        raise invalid(
            "ModelApprovalStatus does not apply to unversioned models; give ModelPackageGroupName"
        )
    if GROUP in request and request.get("Tags"):
        raise invalid("A version has the tags of its group; give Tags to the group")
    _check_inference(platform, request)


def _check_inference(platform: Platform, request: Record) -> None:
    given = [request.get("InferenceSpecification", {}), *request.get(FURTHER, [])]
    for container in chain.from_iterable(part.get("Containers", []) for part in given):
        if not container.get("Image"):
            raise invalid("You must specify Image for each container of a model package")
        check_container(platform, container)


def _key(given: str) -> str:
    """A record's name, of a name, group/version, or an ARN."""
    path = given.rpartition(":")[2].removeprefix(f"{KIND}/")
    return path.replace("/", ".")


def found(platform: Platform, given: str, region: str) -> Record:
    """A package's record, by its ARN, name, or group/version. ApiError when there is none."""
    record = _find(platform, given)
    if record is not None:
        return record
    wanted = given
    if not given.startswith("arn:"):
        wanted = arn(region, KIND, given)
    raise invalid(f"ModelPackage {wanted} does not exist.")


def _find(platform: Platform, given: str) -> Record | None:
    record = platform.store.find(KIND, _key(given))
    if record is not None:
        return record
    # An ARN has small letters, whatever its package's name has.
    return next((one for one in platform.store.all(KIND) if one[ARN] == given), None)


def container(platform: Platform, given: Record, region: str) -> Record:
    """The container that a model gets from the package that its own one names.

    ApiError for a version that is not approved: "the value of this parameter must be set to
    Approved to deploy the model" (the API reference's words on ModelApprovalStatus).
    """
    record = found(platform, given[NAME], region)
    if GROUP in record and record[APPROVAL] != APPROVED:
        raise invalid(
            f"The model package {record[ARN]} is {record[APPROVAL]}; "
            "only a version that is Approved can be deployed: UpdateModelPackage approves it"
        )
    for part in TAKEN:
        if given.get(part):
            raise invalid(f"A container with ModelPackageName cannot have {part}")
    containers = _specification(record, given)["Containers"]
    if len(containers) != 1:
        raise invalid(
            "local SageMaker: a model has one container here, no inference pipeline; "
            f"the model package has {len(containers)}"
        )
    [packaged] = containers
    taken = {part: packaged[part] for part in TAKEN if packaged.get(part)}
    environment = {**packaged.get("Environment", {}), **given.get("Environment", {})}
    return {**given, **taken, "Environment": environment}


def _specification(record: Record, given: Record) -> Record:
    """The package's InferenceSpecification, or its further one that the container names."""
    name = given.get("InferenceSpecificationName")
    found_here: Record | None = record.get("InferenceSpecification")
    if name:
        further = record.get(FURTHER, [])
        found_here = next((one for one in further if one["Name"] == name), None)
    if found_here is None:
        raise invalid(f"The model package {record[ARN]} has no InferenceSpecification for a model")
    return found_here


def describe(platform: Platform, request: Record, region: str) -> Record:
    # A version has no name of its own, though botocore's model calls it required.
    return found(platform, request[NAME], region)


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records = platform.store.all(KIND)
    kind = request.get("ModelPackageType", "Unversioned")
    if GROUP in request:
        group = model_groups.found(platform, request[GROUP], region)
        records = model_groups.members(platform, group)
    elif kind != "Both":
        records = [one for one in records if (GROUP in one) == (kind == "Versioned")]
    wanted = request.get(APPROVAL)
    if wanted:
        records = [one for one in records if one.get(APPROVAL) == wanted]
    shown, token = page([*map(_with_label, records)], request, "Label", None, "Ascending")
    return {"ModelPackageSummaryList": shown, "NextToken": token}


def _with_label(record: Record) -> Record:
    """The record with what it is sorted and filtered by."""
    label = record.get(NAME) or f"{record[GROUP]}/{record['ModelPackageVersion']:09}"
    return {**record, "Label": label}


def update(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request[ARN], region)
    if APPROVAL in request and GROUP not in record:
        raise invalid("ModelApprovalStatus does not apply to unversioned models")
    added = request.get("AdditionalInferenceSpecificationsToAdd", [])
    _check_inference(platform, {**request, FURTHER: added})
    removed = request.get("CustomerMetadataPropertiesToRemove", [])
    with platform.store.changing(KIND, key_of(record)) as held:
        held.update({field: request[field] for field in REPLACED if field in request})
        kept = {**held.get(PROPERTIES, {}), **request.get(PROPERTIES, {})}
        held[PROPERTIES] = {key: kept[key] for key in kept if key not in removed}
        held[FURTHER] = [*held.get(FURTHER, []), *added]
        for field in (PROPERTIES, FURTHER):
            if not held[field]:
                held.pop(field)
    return record


def key_of(record: Record) -> str:
    """The name by which the store has it."""
    if GROUP in record:
        return f"{record[GROUP]}.{record['ModelPackageVersion']}"
    return str(record[NAME])


def delete(platform: Platform, request: Record, region: str) -> Record:
    record = found(platform, request[NAME], region)
    platform.store.remove(KIND, key_of(record))
    tags.forget(platform, record[ARN])
    return {}


def describe_many(platform: Platform, request: Record, region: str) -> Record:
    """BatchDescribeModelPackage."""
    summaries: Record = {}
    errors: Record = {}
    for given in request["ModelPackageArnList"]:
        record = _find(platform, given)
        if record is None:
            message = f"ModelPackage {given} does not exist."
            errors[given] = {"ErrorCode": "ValidationException", "ErrorResponse": message}
            continue
        summaries[given] = record
    return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}


OPERATIONS = {
    "CreateModelPackage": create,
    "DescribeModelPackage": describe,
    "BatchDescribeModelPackage": describe_many,
    "ListModelPackages": list_all,
    "UpdateModelPackage": update,
    "DeleteModelPackage": delete,
    **model_groups.OPERATIONS,
}
