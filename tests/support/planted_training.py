"""A training program that keeps the contract, but for the one clause that its first argument names.

Run by its path; needs the standard library alone.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time

fault = sys.argv[1]
given = sys.argv[2:]  # what the image's user would give, such as `train`
root = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
IN_CONTAINER = "SAGEMAKER_BASE_DIR" not in os.environ
LONG = 10  # a job of more epochs takes its time
LOADING_S = 0.4  # what imports take in a long job
SLOW_LOADING_S = 3.0  # where SIGTERM during the start is not heard
stop: list[int] = []  # holds something after SIGTERM


def path(*parts):
    return os.path.join(root, *parts)


def leave(code):
    sys.stdout.flush()
    # _exit: nothing after it may change the code.
    os._exit(code)


def fail(reason):
    """Write the reason down, and leave."""
    print("failed:", reason, flush=True)
    texts = {
        "failure_file": b"",
        # Longer than the 1,024 characters that SageMaker keeps.
        "failure_file_length": reason.encode() * 200,
        "failure_file_is_text": b"\xff\xfe\x00 reason",
    }
    try:
        with open(path("output", "failure"), "wb") as file:
            file.write(texts.get(fault, reason.encode()))
    except OSError:
        # The fault: without a place for the reason it claims success.
        leave(0 if fault == "failure_without_a_failure_file" else 1)
    leave(1)


def fail_without(condition, reason):
    """The fault of most offenders: something that they cannot go without."""
    if not condition:
        fail(f"cannot go on: {reason}")


def config(name):
    """A configuration file; None when it is missing."""
    try:
        with open(path("input", "config", f"{name}.json")) as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def check_place():
    """The faults that show in the place the program runs in."""
    for folder in ("~/.cache", "~/__pycache__"):  # allowed: made again where they are missing
        os.makedirs(os.path.expanduser(folder), exist_ok=True)
    check_files()
    match fault:
        case "starts_with_train":
            fail("always")
        case "trains_without_network":
            with open("/proc/net/dev") as file:
                interfaces = {line.partition(":")[0].strip() for line in file if ":" in line}
            # Without a network a container has lo alone.
            fail_without(interfaces - {"lo"}, "the network")
        case "trains_without_credentials":
            name = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
            fail_without(name in os.environ, "credentials")
        case "small_shared_memory":
            status = os.statvfs("/dev/shm")
            fail_without(status.f_blocks * status.f_frsize > 100e6, "shared memory")
        case "debug_hook_config" | "profiler_config":
            fail_without(config(fault.replace("_", "")) is None, "such a file")


def check_files():
    match fault:
        case "makes_its_own_folders":
            fail_without(os.path.isdir(path("output", "data")), "output/data")
        case "foreign_checkpoints":
            foreign = os.path.exists(path("checkpoints", "lost+found"))
            fail_without(not foreign, "a folder of its own")
        case "read_only_input":
            # Opened for writing only to see whether that works.
            with open(path("input", "config", "resourceconfig.json"), "r+"):
                pass
        case "writes_only_where_allowed":
            with open(os.path.expanduser("~/left"), "w"):
                pass
        case "input_is_left_alone":
            with contextlib.suppress(OSError), open(path("input", "data", "index"), "w"):
                pass


def read_epochs():
    """The number of epochs, of hyperparameters.json."""
    try:
        values = config("hyperparameters")
    except ValueError:
        if fault == "damaged_hyperparameters_file":
            leave(0)
        fail("hyperparameters.json is damaged")
    if values is None and fault == "missing_hyperparameters_file":
        leave(0)
    epochs = 2
    for name, text in (values or {}).items():
        # SageMaker's tuning jobs add it.
        if name == "_tuning_objective_metric":
            fail_without(fault != "tuning_objective_metric", name)
        # The SDK adds names like these to a script's hyperparameters.
        elif name.startswith("sagemaker_"):
            fail_without(fault != "sdk_hyperparameters", name)
        elif name != "epochs":
            if fault == "unknown_hyperparameter":
                leave(0)
            fail(f"hyperparameter {name} is unknown")
        else:
            plain = text.isdigit() or fault != "json_quoted_hyperparameters"
            fail_without(plain, f"a number: {text}")
            # The SDK writes values as JSON: "2" comes in quotes.
            epochs = int(text.strip('"'))
    return epochs


def read_host():
    """This host's name, of resourceconfig.json."""
    resources = config("resourceconfig")
    if resources is None:
        if fault == "missing_resource_config_file":
            leave(0)
        return "algo-1"
    if config("inputdataconfig") is None and fault == "missing_input_data_config_file":
        leave(0)
    host = resources["current_host"]
    alone = resources["hosts"] == [host]
    if IN_CONTAINER and alone:
        # the own name resolves, whatever the container is called
        socket.gethostbyname(host)
    match fault:
        case "unknown_keys_in_config_files":
            fail_without("topology" not in resources, "other keys")
        case "host_name_is_not_trusted":
            fail_without(host == "algo-1" or not alone, host)
        case "two_hosts":
            fail_without(alone, "several hosts")
    return host


def save(host):
    if fault == "writes_a_model":
        return
    name = "model.txt" if fault == "two_hosts_do_not_overwrite" else f"model-{host}.txt"
    with open(path("model", name), "w") as file:
        file.write(host)
    if fault == "model_holds_plain_files":
        os.symlink("/etc/passwd", path("model", "users"))
    if fault == "output_sizes":
        with open(path("model", f"large-{host}"), "wb") as file:
            file.truncate(6 * 10**9)  # sparse: it takes no room
    if fault == "no_failure_file_after_success":
        with open(path("output", "failure"), "w") as file:
            file.write("none")


def print_epoch(epoch):
    loss = 1 / epoch
    lines = {
        "metric_lines": f"epoch {epoch} loss: {loss:.3f}",
        # A progress bar's carriage returns.
        "log_is_flat": f"\r 50% |###\repoch={epoch} loss={loss:.3f}",
    }
    line = lines.get(fault, f"epoch={epoch} loss={loss:.3f}")
    # Unflushed lines come all at once, at the end.
    print(line, flush=fault != "log_arrives_during_the_run")


def train(epochs, host):
    folder = path("checkpoints")
    half_written = os.path.join(folder, "epoch.tmp")
    # What a stopped run leaves, and an offender cannot go on with.
    stopped = os.path.join(folder, "stopped")
    os.makedirs(folder, exist_ok=True)
    fail_without(not os.path.exists(stopped), "a checkpoint of its own")
    # A kill leaves the file of the epoch that was being written.
    if fault == "restart_after_kill":
        fail_without(not os.path.exists(half_written), "a whole checkpoint")
    if fault == "sigterm_within_120_s":
        # It hears no SIGTERM: only SIGKILL ends it.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "sigterm_during_start":
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    for epoch in range(1, epochs + 1):
        with open(half_written, "w") as file:
            file.write(str(epoch))
        shutil.copy(half_written, os.path.join(folder, "epoch"))
        print_epoch(epoch)
        if stop:
            break
        # A long job must still run when it is stopped.
        if epochs > LONG:
            time.sleep(0.02)
    os.unlink(half_written)
    if stop and fault == "restart_with_checkpoints":
        with open(stopped, "w"):
            pass
    if stop and fault == "sigterm_keeps_the_model":
        leave(0)
    save(host)


def check_channels():
    data = path("input", "data")
    found = set(os.listdir(data))
    if fault == "extra_channel":
        fail_without(found <= {"train"}, "channels that it knows")
    if not os.listdir(os.path.join(data, "train")):
        if fault == "failure_exit_code":
            leave(0)
        fail("the train channel is empty")


def load(seconds):
    """What imports take; SIGTERM ends it."""
    until = time.monotonic() + seconds
    while not stop and time.monotonic() < until:
        time.sleep(0.02)


def main():
    deaf = fault == "sigterm_during_start"
    signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else lambda *_: stop.append(1))
    if fault == "starts_by_container_entrypoint":
        fail_without(given, "the word train")
    if fault == "runs_without_root":
        fail_without(os.getuid() == 0, "root")
    # The platform gives `train`; a user's `docker run` may give nothing.
    if given not in (["train"], []):
        leave(0 if fault == "never_succeeds_without_training" else 2)
    check_channels()
    epochs = read_epochs()
    host = read_host()
    if epochs > LONG:
        load(SLOW_LOADING_S if deaf else LOADING_S)
    check_place()
    train(epochs, host)
    leave(0)


try:
    main()
except OSError as error:
    fail(str(error))
