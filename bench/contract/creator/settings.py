"""gunicorn's settings, as they are generated."""

import multiprocessing

from serving import load_model_for_worker

bind = "0.0.0.0:8080"
workers = min(multiprocessing.cpu_count(), 4)
worker_class = "sync"
timeout = 120
keepalive = 5
max_requests = 500
max_requests_jitter = 100
accesslog = "-"
errorlog = "-"


def post_worker_init(worker):
    load_model_for_worker()
