"""Updates of a live endpoint, its alarm, its scaling: requests, pure functions of the recipe."""

from launch.aws import Request
from launch.errors import LaunchError
from launch.recipe import Recipe
from launch.requests_hosting import VARIANT
from launch.requests_training import Call, tags
from recipes.sagemaker import Endpoint

# Seconds between two changes of the instance count. Growing is quick, shrinking is slow:
# a missing instance costs answers, a spare one only money.
SCALE_IN_S = 600
SCALE_OUT_S = 120
# Requests per minute and machine; of an asynchronous endpoint those that wait per machine.
TARGET = 600.0
TARGETS = {"async": 5.0}


def update(recipe: Recipe, config: str) -> Request:
    """UpdateEndpoint, which rolls back by itself when an alarm rings.

    Several instances are replaced in batches, or get new ones beside them, by the recipe's
    `traffic`. A single one gets a second one beside it.
    A serverless endpoint has no such policy: SageMaker keeps the old variant until the new one
    is up.
    """
    settings = recipe.sagemaker.endpoint
    request: Request = {"EndpointName": recipe.endpoint_name, "EndpointConfigName": config}
    if settings.kind == "serverless":
        return request
    if settings.traffic:
        policy = _shifting_policy(settings)
    elif settings.instance_count > 1:
        policy = _rolling_policy(settings.instance_count, settings.bake_s)
    else:
        policy = _blue_green_policy(settings.bake_s)
    alarms = [{"AlarmName": name} for name in (alarm_name(recipe), *settings.alarms)]
    request["DeploymentConfig"] = {**policy, "AutoRollbackConfiguration": {"Alarms": alarms}}
    if scaling(recipe):
        # The instance count that autoscaling has reached stays.
        request["RetainAllVariantProperties"] = True
    return request


def _rolling_policy(instances: int, bake_s: int) -> Request:
    """Replace half of the instances at a time; a quarter of them where there are four or more."""
    return {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": _part(instances),
            "WaitIntervalInSeconds": bake_s,
            "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
        }
    }


def _part(instances: int) -> Request:
    """A quarter of the instances; half of them where there are fewer than four."""
    return {"Type": "CAPACITY_PERCENT", "Value": 25 if instances >= 4 else 50}


def _shifting_policy(settings: Endpoint) -> Request:
    """Start new instances, and move the traffic to them part by part. LaunchError for one machine.

    Source: SageMaker's guide, "Blue/Green deployments": canary and linear need several instances,
    and a part is at most half of them.
    """
    if settings.instance_count < 2:
        raise LaunchError(
            f"sagemaker.endpoint.traffic is '{settings.traffic}', and instance_count is "
            f"{settings.instance_count}: a part of the traffic needs two machines or more"
        )
    part = _part(settings.instance_count)
    if settings.traffic == "canary":
        return _blue_green_policy(settings.bake_s, steps=2, Type="CANARY", CanarySize=part)
    steps = 100 // part["Value"]
    return _blue_green_policy(settings.bake_s, steps, Type="LINEAR", LinearStepSize=part)


def _blue_green_policy(bake_s: int, steps: int = 1, **routing: object) -> Request:
    """Start new instances, move the traffic, and keep the old ones for bake_s seconds.

    routing: how, in `steps` steps; all at once without it.
    """
    # Half an hour for the start of the instances, the time of baking, and as much again once.
    most_s = (steps + 1) * bake_s + 1800
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "ALL_AT_ONCE",
                **routing,
                "WaitIntervalInSeconds": bake_s,
            },
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": max(3600, most_s),
        }
    }


def alarm_name(recipe: Recipe) -> str:
    return f"slipway-{recipe.endpoint_name}-5xx"


def alarm(recipe: Recipe) -> Request:
    """PutMetricAlarm: rings when the containers answer 5xx in two minutes of three."""
    return {
        "AlarmName": alarm_name(recipe),
        "AlarmDescription": "Rolls back an update of the endpoint",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation5XXErrors",
        "Statistic": "Sum",
        "Period": 60,  # seconds
        # Two minutes of three, so that one minute's outlier rolls nothing back.
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": 2,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # Without requests there are no data.
        "TreatMissingData": "notBreaching",
        "Tags": tags(recipe),
        "Dimensions": [
            {"Name": "EndpointName", "Value": recipe.endpoint_name},
            {"Name": "VariantName", "Value": VARIANT},
        ],
    }


def scaling(recipe: Recipe) -> list[Call]:
    """RegisterScalableTarget and PutScalingPolicy.

    Empty where the recipe leaves no room between the fewest and the most instances.
    """
    settings = recipe.sagemaker.endpoint
    if settings.kind == "serverless" or settings.max_instances <= settings.min_instances:
        return []
    endpoint_variant = scalable_target(recipe)
    limits = {"MinCapacity": settings.min_instances, "MaxCapacity": settings.max_instances}
    policy = {
        "PolicyName": f"slipway-{recipe.endpoint_name}",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": settings.target or TARGETS.get(settings.kind, TARGET),
            "ScaleInCooldown": SCALE_IN_S,
            "ScaleOutCooldown": SCALE_OUT_S,
            **_scaling_metric(recipe),
        },
    }
    service = "application-autoscaling"
    return [
        Call(service, "RegisterScalableTarget", {**endpoint_variant, **limits}),
        Call(service, "PutScalingPolicy", {**endpoint_variant, **policy}),
    ]


def sleeps(recipe: Recipe) -> bool:
    """Whether the endpoint scales in to no instance, so that something must wake it."""
    return recipe.sagemaker.endpoint.min_instances == 0 and bool(scaling(recipe))


def waking(recipe: Recipe) -> Call:
    """PutScalingPolicy that adds the first instance as soon as a request waits for one.

    Target tracking alone waits until the backlog is above its target.
    Source: SageMaker's guide, "Autoscale an asynchronous endpoint".
    """
    step = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}
    policy = {
        "PolicyName": f"slipway-{recipe.endpoint_name}-wake",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": SCALE_OUT_S,
            "StepAdjustments": [step],
        },
    }
    request = {**scalable_target(recipe), **policy}
    return Call("application-autoscaling", "PutScalingPolicy", request)


def wake_alarm_name(recipe: Recipe) -> str:
    return f"slipway-{recipe.endpoint_name}-backlog"


def wake_alarm(recipe: Recipe, policy_arn: str) -> Request:
    """PutMetricAlarm that runs the policy of `waking`, by the ARN that PutScalingPolicy gave."""
    return {
        "AlarmName": wake_alarm_name(recipe),
        "AlarmDescription": "Starts the endpoint's first instance",
        "Namespace": "AWS/SageMaker",
        # 1 while requests wait and no instance is there.
        "MetricName": "HasBacklogWithoutCapacity",
        "Statistic": "Average",
        "Period": 60,  # seconds
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "missing",
        "AlarmActions": [policy_arn],
        "Tags": tags(recipe),
        "Dimensions": [{"Name": "EndpointName", "Value": recipe.endpoint_name}],
    }


def _scaling_metric(recipe: Recipe) -> Request:
    """Invocations per instance and minute; of an asynchronous endpoint its backlog."""
    if recipe.sagemaker.endpoint.kind != "async":
        metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
        return {"PredefinedMetricSpecification": metric}
    return {
        "CustomizedMetricSpecification": {
            "MetricName": "ApproximateBacklogSizePerInstance",
            "Namespace": "AWS/SageMaker",
            "Statistic": "Average",
            "Dimensions": [{"Name": "EndpointName", "Value": recipe.endpoint_name}],
        }
    }


def scalable_target(recipe: Recipe) -> Request:
    """The variant's instance count, as application autoscaling names it."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{recipe.endpoint_name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
