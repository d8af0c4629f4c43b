"""A CloudFormation stack: its state, its URL, why it failed, and the wait until it is stable."""

from launch.aws import Response
from launch.context import LaunchContext
from launch.errors import LaunchError, code_of, message_of

# CloudFormation accepts no more changes to a stack in one of these states.
NEVER_MADE = (
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "REVIEW_IN_PROGRESS",
    "DELETE_FAILED",
)
# The changes that succeeded.
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
# The stack's own event of such a state begins the latest change.
BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def stack_or_none(context: LaunchContext, name: str) -> Response | None:
    """DescribeStacks' answer for a stack; None where it does not exist."""
    try:
        answer = context.ask("cloudformation", "DescribeStacks", StackName=name)
    except Exception as error:
        # CloudFormation has no code of its own for an unknown stack.
        if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
            return None
        raise
    stack: Response = answer["Stacks"][0]
    return stack


def url_of(stack: Response | None) -> str:
    """The page's URL; empty where there is none yet."""
    # The template names its output Url.
    for output in (stack or {}).get("Outputs", ()):
        if output["OutputKey"] == "Url":
            return str(output["OutputValue"])
    return ""


def stack_summary(context: LaunchContext, name: str) -> str:
    """State and URL of a stack, for people."""
    if context.dry:
        context.ask("cloudformation", "DescribeStacks", StackName=name)
        return ""
    stack = stack_or_none(context, name)
    if stack is None:
        return "not on CloudFormation"
    words = (stack.get("StackStatus", ""), url_of(stack))
    return "; ".join(word for word in words if word)


def wait_until_stable(context: LaunchContext, name: str, command: str) -> Response | None:
    """Wait until no change of the stack is in progress. The stack; None where it does not exist.

    command: begins the line that is printed for each state.
    """
    printed = ""
    while True:
        stack = stack_or_none(context, name)
        if stack is None:
            return None
        status = stack["StackStatus"]
        if status == "DELETE_COMPLETE":
            return None
        if not status.endswith("_IN_PROGRESS") or status in NEVER_MADE:
            return stack
        if status != printed:
            context.print(f"{command}: {name} is {status}")
            printed = status
        context.wait()


def wait_until_deleted(context: LaunchContext, name: str, command: str) -> None:
    """Wait until a stack that is being deleted is gone. LaunchError with the reason if it stays."""
    if wait_until_stable(context, name, command):
        raise LaunchError(f"the stack {name} was not deleted: {failure_reason(context, name)}")


def failure_reason(context: LaunchContext, name: str) -> str:
    """The first failure of the latest change, in CloudFormation's words."""
    failed = ""
    answer = context.ask("cloudformation", "DescribeStackEvents", StackName=name)
    # Events come newest first, so the last failure of this loop was the first in time.
    for event in answer["StackEvents"]:
        status = event.get("ResourceStatus", "")
        resource = event.get("LogicalResourceId")
        reason = " ".join(event.get("ResourceStatusReason", "").split())
        # Other resources are cancelled because of the first failure.
        if status.endswith("_FAILED") and "cancelled" not in reason:
            failed = f"{resource}: {reason or 'no reason is given'}"
        if status in BEGINNINGS and resource == name:
            break
    return failed or "CloudFormation gives no reason"
