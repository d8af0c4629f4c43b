"""Operations on endpoints: create, update, weights and capacities, describe, list, delete."""

import threading

from local_sagemaker import tags
from local_sagemaker.contract import invalid
from local_sagemaker.hosting import alarms, autoscaling
from local_sagemaker.hosting.deployed import retained
from local_sagemaker.hosting.deployment_plan import Plan, plan_of
from local_sagemaker.hosting.fleet import KIND, Fleet, check_variants
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.registry import models
from local_sagemaker.store import arn, page


def create(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointName"]
    config = models.found(platform, models.CONFIG, request["EndpointConfigName"], region)
    # It is of the updates that keep it: a first deployment has nothing to move requests from.
    deployment = request.get("DeploymentConfig")
    _planned(deployment, config, region)
    record = {
        **request,
        "EndpointArn": arn(region, "endpoint", name),
        "Region": region,
        "EndpointStatus": "Creating",
    }
    if deployment:
        record["LastDeploymentConfig"] = deployment
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["EndpointArn"],
        invalid(f'Cannot create already existing endpoint "{record["EndpointArn"]}".'),
    )
    _begin(platform, record, config)
    return record


def _planned(deployment: Record | None, config: Record, region: str) -> Plan:
    """The plan of an update to a configuration. ApiError for one that cannot be acted on."""
    plan = plan_of(deployment, config["ProductionVariants"])
    try:
        alarms.states(plan.alarms, region)
    except alarms.AlarmError as error:
        raise invalid(f"AutoRollbackConfiguration: {error}") from error
    return plan


def _begin(platform: Platform, record: Record, config: Record) -> None:
    fleet = Fleet(platform, record)
    fleet.deploy(config)
    platform.start(KIND, record["EndpointName"], fleet)


def found(platform: Platform, name: str, region: str) -> Record:
    """An endpoint's record. ApiError when there is none."""
    record = platform.store.find(KIND, name)
    if record is None:
        raise invalid(f'Could not find endpoint "{arn(region, "endpoint", name)}".')
    return record


def _idle(platform: Platform, name: str, region: str) -> tuple[Record, Fleet]:
    """An endpoint that serves and does not change. ApiError when it is not so."""
    record = found(platform, name, region)
    fleet = platform.runner(KIND, name)
    serves = record["EndpointStatus"] in ("InService", "UpdateRollbackFailed")
    if not serves or fleet is None:
        state = "failed"
        if record["EndpointStatus"] in ("Creating", "Updating", "RollingBack", "Deleting"):
            state = "in-progress"
        raise invalid(f'Cannot update {state} endpoint "{record["EndpointArn"]}".')
    return record, fleet


def update(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointName"]
    record, fleet = _idle(platform, name, region)
    # As on SageMaker: an endpoint whose own configuration was deleted cannot be updated.
    models.found(platform, models.CONFIG, record["EndpointConfigName"], region)
    config = models.found(platform, models.CONFIG, request["EndpointConfigName"], region)
    if request.get("RetainAllVariantProperties"):
        excluded = request.get("ExcludeRetainedVariantProperties", [])
        config = retained(config, fleet.serving, [one["VariantPropertyType"] for one in excluded])
    deployment = request.get("DeploymentConfig")
    if not deployment and request.get("RetainDeploymentConfig"):
        deployment = record.get("LastDeploymentConfig")
    plan = _planned(deployment, config, region)
    platform.store.change(
        KIND, name, EndpointStatus="Updating", LastDeploymentConfig=deployment, FailureReason=None
    )
    fleet.deploy(config, plan)
    return record


def update_weights(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointName"]
    wanted = request["DesiredWeightsAndCapacities"]
    record, fleet = _idle(platform, name, region)
    check_variants(fleet, wanted)
    platform.store.change(KIND, name, EndpointStatus="Updating")
    fleet.change(wanted)
    return record


def describe(platform: Platform, request: Record, region: str) -> Record:
    return found(platform, request["EndpointName"], region)


def list_all(platform: Platform, request: Record, region: str) -> Record:
    records, token = page(platform.store.all(KIND), request, "EndpointName", "EndpointStatus")
    return {"Endpoints": records, "NextToken": token}


def delete(platform: Platform, request: Record, region: str) -> Record:
    """Its status is Deleting at once. Its record goes after its containers."""
    name = request["EndpointName"]
    record = found(platform, name, region)
    if record["EndpointStatus"] != "Deleting":
        platform.store.change(KIND, name, EndpointStatus="Deleting")
        # Containers may take minutes to stop, and SageMaker answers before they have.
        threading.Thread(target=_take_away, args=(platform, record), name=f"delete {name}").start()
    return {}


def _take_away(platform: Platform, record: Record) -> None:
    if fleet := platform.runner(KIND, record["EndpointName"]):
        fleet.halt("deleted")
        fleet.join()
    platform.store.remove(KIND, record["EndpointName"])
    platform.store.remove(autoscaling.KIND, record["EndpointName"])
    tags.forget(platform, record["EndpointArn"])


def recover(platform: Platform) -> None:
    """After a restart: endpoints come up again on the configuration that they last served."""
    for record in platform.store.all(KIND):
        if record["EndpointStatus"] == "Deleting":
            _take_away(platform, record)  # the earlier server ended in between
        if record["EndpointStatus"] in ("Failed", "Deleting"):
            continue
        # An update that the restart broke off is forgotten.
        config = record.get("DeployedConfigName") or record["EndpointConfigName"]
        kept = platform.store.find(models.CONFIG, config)
        if kept is None:
            platform.store.change(
                KIND,
                record["EndpointName"],
                EndpointStatus="Failed",
                FailureReason=f"the endpoint configuration '{config}' was deleted",
            )
            continue
        platform.store.change(
            KIND,
            record["EndpointName"],
            EndpointStatus="Creating",
            EndpointConfigName=config,
            ProductionVariants=None,
            ShadowProductionVariants=None,
            PendingDeploymentSummary=None,
        )
        _begin(platform, {**record, "EndpointConfigName": config}, kept)


OPERATIONS = {
    "CreateEndpoint": create,
    "UpdateEndpoint": update,
    "UpdateEndpointWeightsAndCapacities": update_weights,
    "DescribeEndpoint": describe,
    "ListEndpoints": list_all,
    "DeleteEndpoint": delete,
}
