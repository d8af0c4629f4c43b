"""The handler of the contract's multi-model-server peer, in the toolkit's own code."""

import json

import numpy as np
import pytest

from bench.contract.images import WEIGHTS
from bench.serving.containers import BENCH
from runtime.docker import mount, output

# A context as MMS's workers give it, and a request with each body.
SCRIPT = """
import json, sys
sys.path.insert(0, "/opt/program")
import handler

class Context:
    system_properties = {"model_dir": "/opt/ml/model"}
    request_processor = property(lambda self: [self])
    def get_request_properties(self): return {"Content-Type": "text/csv"}
    def set_response_content_type(self, place, content_type): self.status = 200
    def set_response_status(self, code, phrase): self.status = code

for body in json.loads(sys.argv[1]):
    context = Context()
    [answer] = handler.handle([{"body": body.encode()}], context)
    print(json.dumps([context.status, answer]))
"""


@pytest.mark.docker
def test_an_error_holds_nothing_of_the_body(images, tmp_path):

    np.save(tmp_path / "linear.npy", WEIGHTS)
    bodies = ["5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3", "my-secret,3.5,1.4,0.2"]
    printed = output(
        *("run", "--rm", "--entrypoint=/opt/venv/bin/python"),
        *(mount(BENCH / "contract" / "mms", "/opt/program"), mount(tmp_path, "/opt/ml/model")),
        *(images["serve-mms"], "-c", SCRIPT, json.dumps(bodies)),
    )
    right, wrong = (json.loads(line) for line in printed.splitlines())
    assert right == [200, '["versicolor", "virginica"]']
    assert wrong[0] == 500
    assert "my-secret" not in printed
