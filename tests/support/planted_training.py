"""A training program that keeps the contract, but for the one clause that its first argument names. The standard library alone; run by its path."""

import json
import os
import shutil
import signal
import socket
import sys
import time

fault, given = sys.argv[1], sys.argv[2:]
root = os.environ["SAGEMAKER_BASE_DIR"] if "SAGEMAKER_BASE_DIR" in os.environ else "/opt/ml"
stop = []


def path(*parts):
    return os.path.join(root, *parts)


def leave(code):
    sys.stdout.flush()
    os._exit(code)


def fail(reason):
    """Tell the reason, and leave."""
    print("failed:", reason, flush=True)
    texts = {
        "failure_file": b"",
        "failure_file_length": reason.encode() * 200,
        "failure_file_is_text": b"\xff\xfe\x00 reason",
    }
    try:
        with open(path("output", "failure"), "wb") as file:
            file.write(texts.get(fault, reason.encode()))
    except OSError:
        leave(0 if fault == "failure_without_a_failure_file" else 1)
    leave(1)


def without(condition, reason):
    """The fault that most offenders have: something that they cannot go without."""
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
    with open("/proc/net/dev") as file:
        interfaces = [line.partition(":")[0].strip() for line in file if ":" in line]
    for folder in ("~/.cache", "~/__pycache__"):  # caches are made anew where they are missing
        os.makedirs(os.path.expanduser(folder), exist_ok=True)
    match fault:
        case "starts_with_train":
            fail("always")
        case "trains_without_network":
            without(set(interfaces) - {"lo"}, "the network")
        case "trains_without_credentials":
            without("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" in os.environ, "credentials")
        case "small_shared_memory":
            status = os.statvfs("/dev/shm")
            without(status.f_blocks * status.f_frsize > 100e6, "shared memory")
        case "debug_hook_config" | "profiler_config":
            without(config(fault.replace("_", "")) is None, "such a file")
        case "makes_its_own_folders":
            without(os.path.isdir(path("output", "data")), "output/data")
        case "read_only_input":
            with open(path("input", "config", "resourceconfig.json"), "r+"):
                pass
        case "foreign_checkpoints":
            without(not os.path.exists(path("checkpoints", "lost+found")), "a folder of its own")
        case "writes_only_where_allowed":
            with open(os.path.expanduser("~/left"), "w"):
                pass
        case "input_is_left_alone":
            try:
                with open(path("input", "data", "index"), "w"):
                    pass
            except OSError:
                pass


def hyperparameters():
    try:
        values = config("hyperparameters")
    except ValueError:
        if fault == "damaged_hyperparameters_file":
            leave(0)
        fail("hyperparameters.json is damaged")
    if values is None and fault == "missing_hyperparameters_file":
        leave(0)
    result = {"epochs": 2}
    for name, text in (values or {}).items():
        if name == "_tuning_objective_metric":
            without(fault != "tuning_objective_metric", name)
        elif name.startswith("sagemaker_"):
            without(fault != "sdk_hyperparameters", name)
        elif name not in result:
            leave(0) if fault == "unknown_hyperparameter" else fail(
                f"hyperparameter {name} is unknown"
            )
        else:
            without(text.isdigit() or fault != "json_quoted_hyperparameters", f"a number: {text}")
            result[name] = int(text.strip('"'))
    return result


def host_and_hosts():
    resources = config("resourceconfig")
    if resources is None:
        if fault == "missing_resource_config_file":
            leave(0)
        return "algo-1", ["algo-1"]
    if config("inputdataconfig") is None and fault == "missing_input_data_config_file":
        leave(0)
    host, hosts = resources["current_host"], resources["hosts"]
    if "SAGEMAKER_BASE_DIR" not in os.environ and hosts == [host]:
        socket.gethostbyname(
            host
        )  # in a container one's own name resolves, whatever the container is called
    without(fault != "unknown_keys_in_config_files" or "topology" not in resources, "other keys")
    without(fault != "host_name_is_not_trusted" or host == "algo-1" or len(hosts) > 1, host)
    without(fault != "two_hosts" or len(hosts) == 1, "several hosts")
    return host, hosts


def save(host):
    if fault == "writes_a_model":
        return
    with open(
        path(
            "model", "model.txt" if fault == "two_hosts_do_not_overwrite" else f"model-{host}.txt"
        ),
        "w",
    ) as file:
        file.write(host)
    if fault == "model_holds_plain_files":
        os.symlink("/etc/passwd", path("model", "users"))
    if fault == "output_sizes":
        with open(path("model", f"large-{host}"), "wb") as file:
            file.truncate(6 * 10**9)
    if fault == "no_failure_file_after_success":
        with open(path("output", "failure"), "w") as file:
            file.write("none")


def train(epochs, host):
    folder = path("checkpoints")
    os.makedirs(folder, exist_ok=True)
    without(not os.path.exists(os.path.join(folder, "stopped")), "a checkpoint of its own")
    without(
        fault != "restart_after_kill" or not os.path.exists(os.path.join(folder, "epoch.tmp")),
        "a whole checkpoint",
    )
    if fault == "sigterm_within_120_s":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if fault == "sigterm_during_start":
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    for epoch in range(1, epochs + 1):
        with open(os.path.join(folder, "epoch.tmp"), "w") as file:
            file.write(str(epoch))
        shutil.copy(os.path.join(folder, "epoch.tmp"), os.path.join(folder, "epoch"))
        line = {
            "metric_lines": f"epoch {epoch} loss: {1 / epoch:.3f}",
            "log_is_flat": f"\r 50% |###\repoch={epoch} loss={1 / epoch:.3f}",
        }
        print(
            line.get(fault, f"epoch={epoch} loss={1 / epoch:.3f}"),
            flush=fault != "log_arrives_during_the_run",
        )
        if stop:
            break
        if epochs > 10:
            time.sleep(0.02)
    os.unlink(os.path.join(folder, "epoch.tmp"))
    if stop and fault == "restart_with_checkpoints":
        with open(os.path.join(folder, "stopped"), "w"):
            pass
    if stop and fault == "sigterm_keeps_the_model":
        leave(0)
    save(host)


def main():
    signal.signal(
        signal.SIGTERM,
        signal.SIG_IGN if fault == "sigterm_during_start" else lambda *_: stop.append(1),
    )
    without(given or fault != "starts_by_container_entrypoint", "the word train")
    without(os.getuid() == 0 or fault != "runs_without_root", "root")
    if given not in (["train"], []):
        leave(0 if fault == "never_succeeds_without_training" else 2)
    data = path("input", "data")
    known = {"train", *(() if fault == "extra_channel" else os.listdir(data))}
    without(set(os.listdir(data)) <= known, "channels that it knows")
    if not os.listdir(os.path.join(data, "train")):
        if fault == "failure_exit_code":
            leave(0)
        fail("the train channel is empty")
    settings = hyperparameters()
    host, hosts = host_and_hosts()
    if settings["epochs"] > 10:
        for _ in range(150 if fault == "sigterm_during_start" else 20):  # what loading takes
            if not stop:
                time.sleep(0.02)
    check_place()
    train(settings["epochs"], host)
    leave(0)


try:
    main()
except OSError as error:
    fail(str(error))
