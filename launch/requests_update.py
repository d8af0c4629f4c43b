"""Updates of a live endpoint, its alarm, its scaling: requests, pure functions of the recipe."""

from launch.aws import Request
from launch.recipe import Recipe
from launch.requests_hosting import VARIANT
from launch.requests_training import Call, tags

# Seconds between two changes of the instance count. Growing is quick, shrinking is slow:
# a missing instance costs answers, a spare one only money.
SCALE_IN_S = 600
SCALE_OUT_S = 120
# Requests per minute and machine; of an asynchronous endpoint those that wait per machine.
TARGET = 600.0
TARGETS = {"async": 5.0}


def update(recipe: Recipe, config: str) -> Request:
    """UpdateEndpoint, which rolls back by itself when an alarm rings.

    Several instances are replaced in batches. A single one gets a second one beside it.
    A serverless endpoint has no such policy: SageMaker keeps the old variant until the new one
    is up.
    """
    settings = recipe.sagemaker.endpoint
    request: Request = {"EndpointName": recipe.endpoint_name, "EndpointConfigName": config}
    if settings.kind == "serverless":
        return request
    if settings.instance_count > 1:
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
    percent = 25
    if instances < 4:
        percent = 50
    return {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": percent},
            "WaitIntervalInSeconds": bake_s,
            "RollbackMaximumBatchSize": {"Type": "CAPACITY_PERCENT", "Value": 100},
        }
    }


def _blue_green_policy(bake_s: int) -> Request:
    """Start new instances, move all traffic at once, and keep the old ones for bake_s seconds."""
    return {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "ALL_AT_ONCE",
                "WaitIntervalInSeconds": bake_s,
            },
            "TerminationWaitInSeconds": 0,
            # Half an hour for the start of the instances, and twice the time of baking.
            "MaximumExecutionTimeoutInSeconds": max(3600, 2 * bake_s + 1800),
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
