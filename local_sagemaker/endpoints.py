"""Operations on endpoints: create, update, weights and capacities, describe, list, delete."""

import threading

from local_sagemaker import autoscaling, models, tags
from local_sagemaker.contract import invalid
from local_sagemaker.fleet import KIND, Fleet, check_variants
from local_sagemaker.platform import Platform
from local_sagemaker.record import Record
from local_sagemaker.store import arn, page


def create(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointName"]
    models.found(platform, models.CONFIG, request["EndpointConfigName"], region)
    record = {
        **request,
        "EndpointArn": arn(region, "endpoint", name),
        "Region": region,
        "EndpointStatus": "Creating",
    }
    tags.add_tagged(
        platform,
        KIND,
        name,
        record,
        record["EndpointArn"],
        invalid(f'Cannot create already existing endpoint "{record["EndpointArn"]}".'),
    )
    _begin(platform, record)
    return record


def _begin(platform: Platform, record: Record) -> None:
    fleet = Fleet(platform, record)
    fleet.deploy(record["EndpointConfigName"])
    platform.start(KIND, record["EndpointName"], fleet)


def found(platform: Platform, name: str, region: str) -> Record:
    """An endpoint's record. ApiError when there is none."""
    record = platform.store.find(KIND, name)
    if record is None:
        raise invalid(f'Could not find endpoint "{arn(region, "endpoint", name)}".')
    return record


def _idle(platform: Platform, name: str, region: str) -> tuple[Record, Fleet]:
    """An endpoint that is InService. ApiError when it is not."""
    record = found(platform, name, region)
    fleet = platform.runner(KIND, name)
    if record["EndpointStatus"] != "InService" or fleet is None:
        state = "failed"
        if record["EndpointStatus"] in ("Creating", "Updating", "Deleting"):
            state = "in-progress"
        raise invalid(f'Cannot update {state} endpoint "{record["EndpointArn"]}".')
    return record, fleet


def update(platform: Platform, request: Record, region: str) -> Record:
    name = request["EndpointName"]
    record, fleet = _idle(platform, name, region)
    # As on SageMaker: an endpoint whose own configuration was deleted cannot be updated.
    for config in (record["EndpointConfigName"], request["EndpointConfigName"]):
        models.found(platform, models.CONFIG, config, region)
    platform.store.change(
        KIND, name, EndpointStatus="Updating", LastDeploymentConfig=request.get("DeploymentConfig")
    )
    fleet.deploy(request["EndpointConfigName"])
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
        if platform.store.find(models.CONFIG, config) is None:
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
        )
        _begin(platform, {**record, "EndpointConfigName": config})


OPERATIONS = {
    "CreateEndpoint": create,
    "UpdateEndpoint": update,
    "UpdateEndpointWeightsAndCapacities": update_weights,
    "DescribeEndpoint": describe,
    "ListEndpoints": list_all,
    "DeleteEndpoint": delete,
}
