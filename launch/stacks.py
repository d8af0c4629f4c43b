"""A CloudFormation stack: its state, its URL, why it failed, and waiting until it rests."""

from launch.context import LaunchContext
from launch.errors import LaunchError, code_of, message_of

NEVER_MADE = (
    "CREATE_FAILED",
    "ROLLBACK_COMPLETE",
    "ROLLBACK_FAILED",
    "REVIEW_IN_PROGRESS",
    "DELETE_FAILED",
)  # CloudFormation changes these no more
GOOD = ("CREATE_COMPLETE", "UPDATE_COMPLETE")
BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def stack_or_none(context: LaunchContext, name: str) -> dict | None:
    """DescribeStacks' answer for a stack; None where there is none."""
    try:
        return context.ask("cloudformation", "DescribeStacks", StackName=name)["Stacks"][0]
    except Exception as error:
        if code_of(error) == "ValidationError" and "does not exist" in message_of(error):
            return None
        raise


def url_of(stack: dict | None) -> str:
    """The page's URL; empty where there is none yet."""
    return {
        output["OutputKey"]: output["OutputValue"] for output in (stack or {}).get("Outputs", ())
    }.get("Url", "")


def stack_words(context: LaunchContext, name: str) -> str:
    """State and URL of a stack, for people."""
    stack = (
        stack_or_none(context, name)
        if not context.dry
        else context.ask("cloudformation", "DescribeStacks", StackName=name)
    )
    return (
        "; ".join(word for word in (stack.get("StackStatus", ""), url_of(stack)) if word)
        if stack is not None
        else "not on CloudFormation"
    )


def wait_until_stable(context: LaunchContext, name: str, who: str) -> dict | None:
    """Wait until nothing is under way; the stack, None where it is gone. who: the command that tells of each state."""
    told = ""
    while True:
        stack = stack_or_none(context, name)
        status = stack["StackStatus"] if stack else ""
        if not status.endswith("_IN_PROGRESS") or status in NEVER_MADE:
            return None if status == "DELETE_COMPLETE" else stack
        if status != told:
            context.print(f"{who}: {name} is {status}")
            told = status
        context.wait()


def wait_until_deleted(context: LaunchContext, name: str, who: str) -> None:
    """Wait until a stack that is being deleted is gone. LaunchError with the reason when it stays."""
    if wait_until_stable(context, name, who):
        raise LaunchError(f"the stack {name} was not deleted: {reason(context, name)}")


def reason(context: LaunchContext, name: str) -> str:
    """What failed first in the latest change, in CloudFormation's words; its events come newest first."""
    failed = []
    for event in context.ask("cloudformation", "DescribeStackEvents", StackName=name)[
        "StackEvents"
    ]:
        status, why = event.get("ResourceStatus", ""), event.get("ResourceStatusReason", "")
        if status.endswith("_FAILED") and "cancelled" not in why:
            failed.append(
                f"{event.get('LogicalResourceId')}: {' '.join(why.split()) or 'no reason is given'}"
            )
        if status in BEGINNINGS and event.get("LogicalResourceId") == name:
            break
    return failed[-1] if failed else "CloudFormation gives no reason"
