"""The requests of planted_server.py. It adds up the digits of a text/plain body."""

import importlib
import json
import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

planted_models = importlib.import_module("planted_models")  # the server has set the path
read_model = planted_models.read_model

fault = sys.argv[1]
BATCH = os.environ.get("SAGEMAKER_BATCH") == "true"
MANY = os.environ.get("SAGEMAKER_MULTI_MODEL") == "true"
LIMIT = int(os.environ.get("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6")) * 2**20  # bytes of a body
SMALL_LIMIT = 5 * 10**6  # of those that take too little
KIND = "text/plain"
SLOW_S = 1.4  # longer than the tests' limit for /ping
TRACE = 'Traceback (most recent call last)\n  File "/srv/serve.py", line 1'
ROOM_BYTES = 24 * 10**6  # with less free memory no further model is loaded
STALLED_BYTES = 11  # one more than a stalled body sends
IDLE_S = 0.25  # after which an offender forgets its model

models: dict[str, str] = {}  # folders by name
leaked: list[bytes] = []
last: list[float] = []  # when the sample was answered
away = [0.0]  # until when the model gives no answer
first: list[int] = []  # holds something after what only the first request meets
busy = threading.Lock()  # held by what blocks other requests
counting = threading.Lock()
active = [0]  # requests under way
invoked = [0]  # invocations so far


def count(by):
    """Change the number of requests under way."""
    with counting:
        active[0] += by


def status(clause, right, wrong=500):
    """The right status, or the wrong one where this clause is to be broken."""
    return wrong if fault == clause else right


class Refused(Exception):
    """Status and text of an answer."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    promised = 0  # 1 after 100 Continue was sent

    def handle_expect_100(self):
        self.promised = 1  # the request is under way from here on
        count(1)
        return super().handle_expect_100()

    def log_message(self, *_):
        pass

    def answer(self, code, body=b"", kind="text/plain"):
        if code >= 400:
            instead = {"errors_say_why": b"", "errors_hold_no_traceback": TRACE.encode()}
            body = instead.get(fault, body)
        try:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            if fault == "answers_have_a_length" and self.command == "POST" and code == 200:
                self.send_header("Transfer-Encoding", "chunked")
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            else:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        if code >= 400 and fault == "keep_alive":
            self.close_connection = True

    def answer_json(self, value):
        self.answer(200, json.dumps(value).encode())

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self.chunked_body()
        size = int(self.headers.get("Content-Length", 0))
        if fault == "payload_above_the_limit" and size > LIMIT:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionResetError
        body = b""
        if fault == "ping_while_bodies_drip":
            body = self.dripping_body(size)
        if fault == "ping_while_bodies_arrive":
            with busy:
                body = self.rfile.read(min(size, STALLED_BYTES))
        body += self.rfile.read(size - len(body))
        limit = LIMIT
        if fault == ("batch_environment" if BATCH else "payload_at_the_limit"):
            limit = SMALL_LIMIT
        if size > limit:
            raise Refused(413, f"the body is larger than {LIMIT} bytes")
        return body

    def dripping_body(self, size):
        """The body, or its start: it works long on each single byte."""
        body = b""
        while len(body) < size:
            part = self.rfile.read1(size - len(body))
            if not part:
                raise ConnectionResetError
            body += part
            if 0 < len(part) < 4 and len(body) > 8:
                with busy:
                    time.sleep(SLOW_S)
        return body

    def chunked_body(self):
        if fault == "chunked_body":
            self.close_connection = True
            raise Refused(411, "a body must have a length")
        parts = []
        while True:
            size = int(self.rfile.readline().split(b";")[0], 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline()  # the end of the chunk's line
            if size == 0:
                return b"".join(parts)

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
                raise Refused(status("wrong_method", 405), "POST it")
            case "GET", ["execution-parameters"]:
                parameters = {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD"}
                size = status("execution_parameters", 6, 200)
                self.answer_json({**parameters, "MaxPayloadInMB": size})
            case _, ["models", *rest] if MANY:
                self.manage(rest, body)
            case _:
                raise Refused(status("unknown_path", 404, 200), "there is nothing")

    def ping(self):
        if fault == "ping_within_2_s_from_the_start" and not first:
            first.append(1)
            time.sleep(SLOW_S)
        if fault in ("ping_under_load", "ping_while_bodies_arrive", "ping_while_bodies_drip"):
            with busy:
                pass
        never = fault == "ready_within_8_minutes" or (fault == "never_ready_for_many" and MANY)
        body = b"healthy" if fault == "ping_is_empty" else b""
        self.answer(503 if never else 200, body)

    def check_headers(self):
        kind = self.headers.get("Content-Type", "")
        if fault != "content_type_with_parameters":
            kind = kind.partition(";")[0]
        if fault != "content_type_in_capitals":
            kind = kind.lower()
        if kind != KIND:
            raise Refused(status("unknown_content_type", 415), f"send {KIND}")
        if fault == "accept_header" and "unknown" in self.headers.get("Accept", ""):
            raise Refused(500, "it cannot be written so")
        refused = {
            "custom_attributes": "X-Amzn-SageMaker-Custom-Attributes",
            "foreign_headers": "X-Amzn-SageMaker-Session-Id",
        }
        if self.headers.get(refused.get(fault, "")):
            raise Refused(400, "a header is unknown")

    def invoke(self, body):
        invoked[0] += 1
        if fault == "log_is_free_of_payloads":
            print("body:", body[:500], flush=True)
        if fault == "memory_is_flat":
            leaked.append(b"x" * 10**6)
        self.check_headers()
        if not body:
            raise Refused(status("empty_body", 400), "the body is empty")
        if BATCH and fault == "batch_record_counts":
            body = body.replace(b"\n", b"")
        if not body.rstrip(b"\0").strip().isdigit():
            raise Refused(status("unreadable_body", 400), "the body holds no digits")
        self.answer_sample(body)

    def answer_sample(self, body):
        if fault == "ready_means_ready" and not first:
            first.append(1)
            raise Refused(503, "the model is being loaded")
        if fault == "answers_the_sample":
            raise Refused(500, "it failed")
        if fault == "answers_within_60_s":
            time.sleep(3.3)
        if fault == "serverless_first_answer" and not first:
            first.append(1)
            time.sleep(2.5)
        if fault == "stays_loaded_when_idle":
            forgotten = last and time.monotonic() - last[-1] > IDLE_S
            time.sleep(SLOW_S if forgotten else 0)
            last.append(time.monotonic())
        if fault == "ping_speaks_for_the_model" and time.monotonic() < away[0]:
            raise Refused(503, "the model is away")
        if fault == "concurrent_requests" and active[0] > 4:
            raise Refused(503, "too many")
        if fault == "ping_under_load":
            with busy:
                time.sleep(0.2)
        time.sleep(0.2 if fault == "sigterm_answers_what_is_under_way" else 0.03)
        digits = [int(letter) for letter in body.rstrip(b"\0").decode() if letter.isdigit()]
        repeats = 4 * 2**20 if fault == "answer_within_6_mib" else 1
        total = str(sum(digits))
        if planted_models.not_a_number:
            total = "NaN"
        self.answer(200, total.encode() * repeats)

    def manage(self, rest, body):
        """The routes of a multi-model endpoint."""
        match self.command, rest:
            case "POST", []:
                self.load(json.loads(body))
            case "GET", []:
                listed = dict(models)
                if fault == "multi_model_starts_empty":
                    listed["ghost"] = "/"
                entries = [{"modelName": name, "modelUrl": url} for name, url in listed.items()]
                self.answer_json({"models": entries})
            case "GET", [name] if fault == "multi_model_knows_who_is_not_there":
                self.answer_json({"modelName": name})
            case _, [name, *_] if name not in models:
                raise Refused(404, "it is not loaded")
            case "GET", [name]:
                self.answer_json({"modelName": name, "modelUrl": models[name]})
            case "DELETE", [name]:
                if fault != "multi_model_unloads":
                    del models[name]
                self.answer(200)
            case "POST", [name, "invoke"]:
                if fault == "multi_model_invokes":
                    raise Refused(500, "it failed")
                self.invoke(body)

    def load(self, wanted):
        name = wanted["model_name"]
        if fault == "multi_model_loads":
            raise Refused(500, "it failed")
        if name in models and fault != "multi_model_refuses_to_load_twice":
            raise Refused(409, "it is loaded")
        if planted_models.room() < ROOM_BYTES:
            raise Refused(status("multi_model_out_of_memory", 507), "no memory is left")
        leaked.append(b"x" * 4 * 10**6)  # what the model takes
        read_model(wanted["url"])
        models[name] = wanted["url"]
        self.answer(200, b"{}")
