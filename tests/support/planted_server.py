"""A server that keeps the contract, but for the one clause that its first argument names. The standard library alone; run by its path.

It adds up the digits of a text/plain body. One process accepts nothing itself and keeps one worker, which serves.
"""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

fault = sys.argv[1]
ROOT = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model")
PORT = (
    int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    if fault != "binds_to_the_port_it_is_given"
    else 8080
)
BATCH, MANY = (
    os.environ.get("SAGEMAKER_BATCH") == "true",
    os.environ.get("SAGEMAKER_MULTI_MODEL") == "true",
)
LIMIT = int(os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")) * 2**20
KIND, SLOW_S = "text/plain", 1.4
TRACE = 'Traceback (most recent call last)\n  File "/srv/serve.py", line 1'
models, leaked, once, busy, counting = {}, [], [], threading.Lock(), threading.Lock()
active, invoked = [0], [0]


def count(by):
    """What is under way."""
    with counting:
        active[0] += by


class Refused(Exception):
    pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    promised = 0

    def handle_expect_100(self):
        self.promised = 1  # from its word on the request is under way
        count(1)
        return super().handle_expect_100()

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", kind="text/plain"):
        if status >= 400:
            body = {"errors_say_why": b"", "errors_hold_no_traceback": TRACE.encode()}.get(
                fault, body
            )
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        if status >= 400 and fault == "keep_alive":
            self.close_connection = True

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            if fault == "chunked_body":
                self.close_connection = True
                raise Refused(411, "a body must have a length")
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        size = int(self.headers.get("Content-Length", 0))
        if fault == "payload_above_the_limit" and size > LIMIT:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        body = self.rfile.read(size)
        if size > (
            5 * 10**6
            if fault == "batch_environment"
            and BATCH
            or fault == "payload_at_the_limit"
            and not BATCH
            else LIMIT
        ):
            raise Refused(413, f"the body is larger than {LIMIT} bytes")
        return body

    def do_GET(self):
        self.handle_one()

    do_POST = do_DELETE = do_GET

    if fault != "head_request":
        do_HEAD = do_GET

    def handle_one(self):
        count(1 - self.promised)
        try:
            body = b""
            if self.command == "POST":
                if fault == "ping_while_bodies_arrive":
                    with busy:
                        body = self.body()
                else:
                    body = self.body()
            self.route(body)
        except Refused as refused:
            self.answer(refused.args[0], refused.args[1].encode())
        except OSError:
            self.close_connection = True
        finally:
            count(-1)
            self.promised = 0

    def route(self, body):
        match self.command, self.path.strip("/").split("/"):
            case (("GET" | "HEAD"), ["ping"]):
                self.ping()
            case "POST", ["invocations"]:
                self.invoke(body)
            case _, ["invocations"]:
                raise Refused(500 if fault == "wrong_method" else 405, "POST it")
            case "GET", ["execution-parameters"]:
                size = 200 if fault == "execution_parameters" else 6
                self.answer(
                    200,
                    json.dumps(
                        {
                            "MaxConcurrentTransforms": 4,
                            "BatchStrategy": "SINGLE_RECORD",
                            "MaxPayloadInMB": size,
                        }
                    ).encode(),
                )
            case _, ["models", *rest] if MANY:
                self.manage(rest, body)
            case _:
                raise Refused(200 if fault == "unknown_path" else 404, "there is nothing")

    def ping(self):
        if fault == "ping_within_2_s_from_the_start" and not once:
            once.append(1)
            time.sleep(SLOW_S)
        if fault in ("ping_under_load", "ping_while_bodies_arrive"):
            with busy:
                pass
        self.answer(
            503
            if fault == "ready_within_8_minutes" or fault == "never_ready_for_many" and MANY
            else 200,
            b"healthy" if fault == "ping_is_empty" else b"",
        )

    def check_headers(self):
        given = self.headers.get("Content-Type", "")
        kind = given if fault == "content_type_with_parameters" else given.partition(";")[0]
        if (kind if fault == "content_type_in_capitals" else kind.lower()) != KIND:
            raise Refused(500 if fault == "unknown_content_type" else 415, f"send {KIND}")
        if fault == "accept_header" and "unknown" in self.headers.get("Accept", ""):
            raise Refused(500, "it cannot be written so")
        if (
            fault == "custom_attributes"
            and self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
            or fault == "foreign_headers"
            and self.headers.get("X-Amzn-SageMaker-Session-Id")
        ):
            raise Refused(400, "a header is unknown")

    def invoke(self, body):
        invoked[0] += 1
        if fault == "log_is_free_of_payloads":
            print("body:", body[:500], flush=True)
        if fault == "memory_is_flat":
            leaked.append(b"x" * 10**6)
        self.check_headers()
        if not body:
            raise Refused(500 if fault == "empty_body" else 400, "the body is empty")
        if not body.rstrip(b"\0").strip().isdigit():
            raise Refused(500 if fault == "unreadable_body" else 400, "the body holds no digits")
        self.answer_sample(body)

    def answer_sample(self, body):
        if fault == "ready_means_ready" and not once:
            once.append(1)
            raise Refused(503, "the model is being loaded")
        if fault == "answers_the_sample":
            raise Refused(500, "it failed")
        if fault == "answers_within_60_s":
            time.sleep(3.3)
        if fault == "concurrent_requests" and active[0] > 4:
            raise Refused(503, "too many")
        if fault == "ping_under_load":
            with busy:
                time.sleep(0.2)
        time.sleep(0.2 if fault == "sigterm_answers_what_is_under_way" else 0.03)
        total = str(sum(digit - 48 for digit in body.rstrip(b"\0") if 48 <= digit <= 57)).encode()
        self.answer(200, total * (4 * 2**20 if fault == "answer_within_6_mib" else 1))

    def manage(self, rest, body):
        """The routes of a multi-model endpoint."""
        match self.command, rest:
            case "POST", []:
                wanted = json.loads(body)
                if fault == "multi_model_loads":
                    raise Refused(500, "it failed")
                if wanted["model_name"] in models and fault != "multi_model_refuses_to_load_twice":
                    raise Refused(409, "it is loaded")
                if room() < 24 * 10**6:
                    raise Refused(
                        500 if fault == "multi_model_out_of_memory" else 507,
                        "there is no memory left",
                    )
                leaked.append(b"x" * 4 * 10**6)
                read_model(wanted["url"])
                models[wanted["model_name"]] = wanted["url"]
                self.answer(200, b"{}")
            case "GET", []:
                listed = [
                    *models.items(),
                    *([("ghost", "/")] if fault == "multi_model_starts_empty" else []),
                ]
                self.answer(
                    200,
                    json.dumps(
                        {"models": [{"modelName": name, "modelUrl": url} for name, url in listed]}
                    ).encode(),
                )
            case "GET", [_] if fault == "multi_model_knows_who_is_not_there":
                self.answer(200, json.dumps({"modelName": rest[0]}).encode())
            case _, [name, *_] if name not in models:
                raise Refused(404, "it is not loaded")
            case "GET", [name]:
                self.answer(200, json.dumps({"modelName": name, "modelUrl": models[name]}).encode())
            case "DELETE", [name]:
                if fault != "multi_model_unloads":
                    del models[name]
                self.answer(200)
            case "POST", [name, "invoke"]:
                self.invoke(body) if fault != "multi_model_invokes" else self.answer(
                    500, b"it failed"
                )


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass

    def process_request(self, request, address):
        super().process_request(request, address)
        if (
            fault == "connects_within_250_ms" and invoked[0] > 30
        ):  # not before all callers have their connections
            self.socket.listen(0)
            if time.monotonic() % 1.4 < 0.3:
                time.sleep(0.4)


def room():
    """Bytes that the container may still take."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            with open(f"/sys/fs/cgroup/{limit}") as most, open(f"/sys/fs/cgroup/{used}") as now:
                text = most.read().strip()
                return int(text) - int(now.read()) if text != "max" else 2**40
        except OSError:
            continue
    return 2**40


def read_model(folder):
    """Leave when the folder holds no model."""
    with open(os.path.join(folder, "model.txt")) as file:
        if not file.read().strip().isdigit() and fault != "ping_is_honest":
            sys.exit("the model is unusable")
    if fault == "foreign_files_in_the_model_folder" and len(os.listdir(folder)) > 1:
        sys.exit("there is more than a model")
    cache = os.path.join(folder, "cache")
    if fault == "model_folder_is_left_alone" and os.access(folder, os.W_OK):
        try:
            open(cache, "w").close()
        except OSError:
            pass
    if fault == "read_only_model_folder":
        open(cache, "w").close()
        os.unlink(cache)
    if fault == "serverless_environment" and os.getuid():
        sys.exit("root is needed")


def work(server):
    """The worker: serve until SIGTERM, and until what is under way is answered."""
    leaving = threading.Event()
    signal.signal(
        signal.SIGTERM,
        lambda *_: os._exit(0) if fault == "sigterm_answers_what_is_under_way" else leaving.set(),
    )
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    while not leaving.wait(0.05):
        if os.getppid() != int(os.environ["PARENT"]):
            os._exit(0)
    server.shutdown()
    time.sleep(0.05)
    while active[0]:
        time.sleep(0.01)
    os._exit(0)


def main():
    if fault == "starts_with_serve" or sys.argv[2:] != ["serve"]:
        sys.exit("it does not start")
    if (
        fault == "serves_without_network" and "127.0.0.11" in open("/etc/resolv.conf").read()
    ):  # on a network of its own, not on the engine's
        sys.exit("there is no way out")
    if not MANY:
        read_model(ROOT)
    server = Server(("0.0.0.0", PORT), Handler)
    worker, stopping = 0, []

    def stop(*_):
        stopping.append(1)
        os.kill(worker, signal.SIGTERM)

    os.environ["PARENT"] = str(os.getpid())
    while not (worker := os.fork()) == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN if fault == "sigterm_within_30_s" else stop)
        os.waitpid(worker, 0)
        while fault == "restarts_crashed_workers" and not stopping:
            time.sleep(0.05)
        if stopping:
            os._exit(0)
    work(server)


main()
