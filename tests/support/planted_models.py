"""The models of planted_server.py: a folder with a number in model.txt."""

import contextlib
import os
import sys

fault = sys.argv[1]
# limit and use of the container's memory, by version 2 and 1 of cgroups
CGROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)

not_a_number: list[int] = []  # holds something where the model is NaN


def room():
    """Bytes that the container may still take."""
    for limit, used in CGROUP_FILES:
        try:
            with open(f"/sys/fs/cgroup/{limit}") as file:
                most = file.read().strip()
            with open(f"/sys/fs/cgroup/{used}") as file:
                now = int(file.read())
        except OSError:
            continue
        if most != "max":
            return int(most) - now
        break
    return 2**40  # without a limit


def read_model(folder):
    """Leave when the folder holds no model."""
    name = "model.txt"
    if fault == "macos_files_beside_the_model":
        name = sorted(found for found in os.listdir(folder) if found.endswith(".txt"))[0]
    with open(os.path.join(folder, name), errors="replace") as file:
        text = file.read().strip()
    readable = text.isdigit()
    if fault == "nan_model" and text == "nan":
        not_a_number.append(1)
        readable = True
    if not readable and fault != "ping_is_honest":
        sys.exit("the model is unusable")
    names = os.listdir(folder)
    if fault == "foreign_files_in_the_model_folder" and "README.md" in names:
        sys.exit("there is more than a model")
    cache = os.path.join(folder, "cache")
    if fault == "model_folder_is_left_alone" and os.access(folder, os.W_OK):
        with contextlib.suppress(OSError), open(cache, "w"):
            pass
    if fault == "read_only_model_folder":
        with open(cache, "w"):
            os.unlink(cache)
    if fault == "serverless_environment" and os.getuid():
        sys.exit("root is needed")
    if fault == "many_visible_cores" and (os.cpu_count() or 1) > 32:
        sys.exit("no memory is left for that many workers")
