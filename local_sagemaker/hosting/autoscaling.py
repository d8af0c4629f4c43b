"""Application Auto Scaling for endpoints' instances: its operations, and what its policies do.

It acts on asynchronous endpoints, whose backlog is known here. Target tracking keeps the waiting
requests per instance at its target, and stops instances once nothing has waited for its
ScaleInCooldown. A step-scaling policy stands for the one that an alarm on
HasBacklogWithoutCapacity runs: it starts an instance where requests wait and none is there.
"""

import math

from local_sagemaker import contract
from local_sagemaker.contract import ApiError
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn

SERVICE = "application-autoscaling"
TARGET = "AnyScaleFrontendService."
KIND = "scaling"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
SCALE_IN_S = 300  # where a policy leaves ScaleInCooldown out


def answer(platform: Platform, name: str, request: Record, region: str) -> Record:
    """What an operation answers. ApiError as the service's own."""
    if name not in OPERATIONS:
        raise ApiError(
            "UnknownOperationException",
            f"local SageMaker does not do {name}; it does {', '.join(sorted(OPERATIONS))}",
        )
    asked = contract.check(name, request, SERVICE)
    if asked.get("ServiceNamespace") != "sagemaker":
        raise ApiError("ValidationException", "local SageMaker scales what is of sagemaker alone")
    return OPERATIONS[name](platform, asked, region)


def register(platform: Platform, request: Record, region: str) -> Record:
    endpoint = _endpoint_of(request)
    if platform.store.find("endpoint", endpoint) is None:
        raise ApiError("ValidationException", f"No endpoint found for resource: {endpoint}")
    known = platform.store.find(KIND, endpoint) or {}
    merged = {**known, **request}
    for field in ("MinCapacity", "MaxCapacity"):
        if field not in merged:
            raise ApiError("ValidationException", f"A new scalable target needs {field}")
    if merged["MinCapacity"] > merged["MaxCapacity"]:
        raise ApiError("ValidationException", "Maximum capacity cannot be less than minimum")
    platform.store.remove(KIND, endpoint)
    record = {**merged, "Policies": known.get("Policies", {})}
    platform.store.add(KIND, endpoint, record, contract.invalid("it is there already"))
    return {"ScalableTargetARN": arn(region, "scalable-target", endpoint)}


def put_policy(platform: Platform, request: Record, region: str) -> Record:
    endpoint = _endpoint_of(request)
    _found(platform, endpoint)
    tracking = request.get("TargetTrackingScalingPolicyConfiguration")
    if tracking and not tracking["TargetValue"] > 0:
        raise ApiError(
            "ValidationException",
            f"TargetValue must be a number above 0; found '{tracking['TargetValue']}'",
        )
    policy_arn = f"{arn(region, 'scalingPolicy', endpoint)}:policyName/{request['PolicyName']}"
    with platform.store.changing(KIND, endpoint) as record:
        record["Policies"][request["PolicyName"]] = {**request, "PolicyARN": policy_arn}
    return {"PolicyARN": policy_arn, "Alarms": []}


def delete_policy(platform: Platform, request: Record, region: str) -> Record:
    endpoint = _endpoint_of(request)
    with platform.store.changing(KIND, endpoint) as record:
        if request["PolicyName"] not in record.get("Policies", {}):
            raise ApiError("ObjectNotFoundException", "No scaling policy found")
        del record["Policies"][request["PolicyName"]]
    return {}


def deregister(platform: Platform, request: Record, region: str) -> Record:
    endpoint = _endpoint_of(request)
    _found(platform, endpoint)
    platform.store.remove(KIND, endpoint)
    return {}


def targets(platform: Platform, request: Record, region: str) -> Record:
    wanted = request.get("ResourceIds")
    found = [one for one in platform.store.all(KIND) if not wanted or one["ResourceId"] in wanted]
    for record in found:
        record["RoleARN"] = "arn:aws:iam::123456789012:role/aws-service-role/autoscaling"
        record.pop("Policies")
        record.pop("LastModifiedTime")
    return {"ScalableTargets": found}


def policies(platform: Platform, request: Record, region: str) -> Record:
    found = []
    for record in platform.store.all(KIND):
        if request.get("ResourceId") in (None, record["ResourceId"]):
            found += [
                {**policy, "CreationTime": record["CreationTime"]}
                for policy in record["Policies"].values()
            ]
    return {"ScalingPolicies": found}


def _endpoint_of(request: Record) -> str:
    """The endpoint of a ResourceId, endpoint/NAME/variant/VARIANT. ApiError for another form."""
    parts = str(request["ResourceId"]).split("/")
    if len(parts) != 4 or (parts[0], parts[2]) != ("endpoint", "variant"):
        raise ApiError(
            "ValidationException", f"Unsupported resource ID: '{request['ResourceId'][:100]}'"
        )
    return parts[1]


def _found(platform: Platform, endpoint: str) -> Record:
    record = platform.store.find(KIND, endpoint)
    if record is None:
        raise ApiError(
            "ObjectNotFoundException",
            f"No scalable target found for service namespace: sagemaker, endpoint {endpoint}",
        )
    return record


class Scaler:
    """How many instances one asynchronous endpoint should have, by its policies."""

    def __init__(self, now: float) -> None:
        self._busy_at = now

    def wanted(self, record: Record, backlog: int, instances: int, now: float) -> int:
        """The number of instances. now: seconds of a steady clock.

        record: the scalable target; backlog: requests that are not done.
        """
        if backlog:
            self._busy_at = now
        found = instances
        for policy in record.get("Policies", {}).values():
            tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
            if tracking:
                found = max(found, self._out(tracking, backlog, instances))
                idle_s = now - self._busy_at
                if not backlog and idle_s > tracking.get("ScaleInCooldown", SCALE_IN_S):
                    found = 0
            elif backlog and not instances:
                found = max(found, 1)
        fewest: int = record["MinCapacity"]
        most: int = record["MaxCapacity"]
        return min(max(found, fewest), most)

    def _out(self, tracking: Record, backlog: int, instances: int) -> int:
        """Instances that bring the backlog of each down to the target; as many where it is."""
        target = float(tracking["TargetValue"])
        if backlog / max(instances, 1) <= target:
            return instances
        return math.ceil(backlog / target)


OPERATIONS = {
    "RegisterScalableTarget": register,
    "PutScalingPolicy": put_policy,
    "DeleteScalingPolicy": delete_policy,
    "DeregisterScalableTarget": deregister,
    "DescribeScalableTargets": targets,
    "DescribeScalingPolicies": policies,
}
