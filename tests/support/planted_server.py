"""A server that keeps the contract, but for the one clause that its first argument names.

Its first process only watches one worker, which serves. Run by its path with `serve`; needs
planted_requests.py and planted_models.py beside it, and else the standard library alone.
"""

import importlib
import os
import signal
import sys
import threading
import time
from http.server import ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # -I leaves it out
requests = importlib.import_module("planted_requests")

fault = requests.fault
ROOT = os.path.join(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"), "model")
PORT = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
if fault == "binds_to_the_port_it_is_given":
    PORT = 8080
# It keeps SIGTERM to itself, and takes the server with it when it ends.
SHELL = """trap 'sleep 2.5; kill -KILL $!; exit 0' TERM; "$@" & wait"""
AWAY_S = 2.0  # of the model of a worker that has just been replaced


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass

    def process_request(self, request, address):
        super().process_request(request, address)
        # not before all callers have their connections
        if fault == "connects_within_250_ms" and requests.invoked[0] > 30:
            # The kernel keeps hardly any caller waiting from now on.
            self.socket.listen(0)
            if time.monotonic() % 1.4 < 0.3:
                time.sleep(0.4)


def work(server):
    """The worker: serve until SIGTERM, and until what is under way is answered."""
    leaving = threading.Event()

    def leave(*_):
        # It leaves the requests under way without an answer.
        if fault == "sigterm_answers_what_is_under_way":
            os._exit(0)
        leaving.set()

    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    while not leaving.wait(0.05):
        # A worker whose first process was killed must not serve on.
        if os.getppid() != int(os.environ["PARENT"]):
            os._exit(0)
    server.shutdown()
    time.sleep(0.05)  # a connection that was just accepted becomes active
    while requests.active[0]:
        time.sleep(0.01)
    os._exit(0)


def watch(server):
    """The first process: keep one worker, and end with it after SIGTERM."""
    worker = 0
    stopping = []
    started = 0

    def stop(*_):
        stopping.append(1)
        os.kill(worker, signal.SIGTERM)

    os.environ["PARENT"] = str(os.getpid())
    while True:
        # The second worker says at once that it is well.
        if started and fault == "ping_speaks_for_the_model":
            requests.away[0] = time.monotonic() + AWAY_S
        started += 1
        worker = os.fork()
        if worker == 0:
            work(server)
        # After fork: the worker has a handler of its own.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if fault == "sigterm_within_30_s" else stop)
        os.waitpid(worker, 0)
        # It never starts another worker.
        while fault == "restarts_crashed_workers" and not stopping:
            time.sleep(0.05)
        if stopping:
            os._exit(0)


def main():
    if fault == "starts_with_serve" or sys.argv[2:] != ["serve"]:
        sys.exit("it does not start")
    if fault == "serves_without_network":
        # the engine's own resolver is that of a network of its own, which has no way out
        with open("/etc/resolv.conf") as file:
            if "127.0.0.11" in file.read():
                sys.exit("the network has no way out")
    # Of many models none is there at the start.
    if not requests.MANY:
        requests.read_model(ROOT)
    if fault == "sigterm_reaches_the_server" and not os.environ.get("BEHIND_A_SHELL"):
        os.environ["BEHIND_A_SHELL"] = "1"
        os.execvp("sh", ["sh", "-c", SHELL, "sh", sys.executable, "-ISB", *sys.argv])
    watch(Server(("0.0.0.0", PORT), requests.Handler))


main()
