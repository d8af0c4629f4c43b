"""The command upload: the recipe's folders to S3, one channel each."""

import os
from pathlib import Path

from launch.context import LaunchContext
from launch.jobs import FINE
from launch.recipe import located
from launch.upload import Channel, channel_below, files_of, upload


def upload_channels(context: LaunchContext) -> int:
    """Bring the recipe's folders to S3; a dry run shows a PutObject per file."""
    folders = {
        name: located(given)
        for name, given in context.recipe.sagemaker.channels.items()
        if not given.startswith("s3://")
    }
    if not folders:
        context.print("upload: all channels are in S3 already")
    for name, folder in folders.items():
        if context.dry:
            show_upload(context, name, folder)
            continue
        channel = channel_of(context, name)
        plan = upload(channel, files_of(folder), context.print, name)
        say_left_out(context, name, folder)
        count = len(plan.put) + len(plan.same)
        context.print(f"upload: {name}: s3://{channel.bucket}/{channel.key} has {count} files")
    return FINE


def say_left_out(context: LaunchContext, name: str, folder: Path) -> None:
    """A line for what the folder has and S3 does not get: hidden files and folders."""
    hidden = []
    for parent, folders, names in os.walk(folder):
        hidden += [Path(parent) / one for one in [*folders, *names] if one.startswith(".")]
        folders[:] = [one for one in folders if not one.startswith(".")]
    if hidden:
        first = min(hidden).relative_to(folder)
        context.print(f"upload: {name}: left out: {len(hidden)} hidden, such as '{first}'")


def show_upload(context: LaunchContext, name: str, folder: Path) -> None:
    """The requests of a dry run."""
    if not folder.is_dir():
        context.print(
            f"dry run: the folder '{folder}' does not exist yet; no file of channel {name} is shown"
        )
        return
    channel = channel_of(context, name)
    for file in files_of(folder):
        context.ask("s3", "PutObject", **channel.put_request(file), Body=str(file.path))


def channel_of(context: LaunchContext, name: str) -> Channel:
    """A training channel's prefix in S3."""
    # The same prefix as in requests_training.channels.
    return channel_below(context, f"data/{name}")


def bring_folder(context: LaunchContext, folder: Path, below: str) -> str:
    """Put a folder's files into S3 below a prefix of the recipe; their own s3:// prefix."""
    files = files_of(folder)
    # Under the folder's name, so that a second run sends only what changed.
    channel = channel_below(context, f"{below}/{folder.absolute().name}")
    if context.dry:
        for file in files:
            context.ask("s3", "PutObject", **channel.put_request(file), Body=str(file.path))
    else:
        upload(channel, files, context.print, folder.name)
    return f"s3://{channel.bucket}/{channel.key}"
