"""Our own images keep every clause. Needs Docker.

tests/docker shows the most important clauses of them in `make test`.
"""

import pytest

from conformance.catalog import of_kind
from conformance.clauses import IMAGE, SERVING
from tests.support.our_images import IDLE, SERVING_IMAGES, conformance, seen

pytestmark = [pytest.mark.docker, pytest.mark.verify]
# Of training's clauses: those of the plain job, of the job that fails, of the one that is stopped,
# and what only a container can break. Of the training image's: those on its description, since
# reading all of its layers takes a minute. `make conformance` looks at all clauses.
CHOSEN = (
    "starts_with_train",
    "writes_a_model",
    "model_holds_plain_files",
    "output_sizes",
    "no_failure_file_after_success",
    "input_is_left_alone",
    "writes_only_where_allowed",
    "metric_definitions",
    "metric_lines",
    "log_is_flat",
    "failure_exit_code",
    "failure_file",
    "failure_file_length",
    "failure_file_is_text",
    "failure_without_a_failure_file",
    "unknown_hyperparameter",
    "sigterm_within_120_s",
    "sigterm_keeps_the_model",
    "sigterm_during_start",
    "restart_with_checkpoints",
    "runs_without_root",
    "trains_without_network",
    "manifest_type",
    "size_under_10_gb",
    "capability_labels",
    "exec_form_entrypoint",
    "no_init_as_entrypoint",
    "no_secrets_in_the_history",
    "base_is_not_latest",
)
# they need a label or an option
OPTIONAL = {"base_is_not_latest", "cuda_fits_the_driver", "bill_of_materials"}


def test_our_training_image_keeps_the_clauses_that_a_container_shows(images, tmp_path):
    rows = conformance(
        tmp_path,
        f"--train={images['train']}",
        "--job=conformance/slipway.json",
        f"--only={','.join(CHOSEN)}",
    )
    assert seen(rows, "broken") == {}
    assert set(seen(rows, "n/a")) <= OPTIONAL, seen(rows, "n/a")
    assert len(seen(rows, "kept")) >= len(CHOSEN) - 1


@pytest.mark.parametrize("name", SERVING_IMAGES)
def test_our_serving_images_keep_every_clause(images, trained, tmp_path, name):
    names = {clause.name for clause in of_kind(SERVING) + of_kind(IMAGE)} - {IDLE}
    rows = conformance(
        tmp_path,
        f"--serve={images[name]}",
        f"--model={trained.root / 'model'}",
        f"--only={','.join(sorted(names))}",
    )
    assert seen(rows, "broken") == {}
    assert set(seen(rows, "n/a")) <= OPTIONAL, seen(rows, "n/a")
    assert len(seen(rows, "kept")) >= len(names) - len(OPTIONAL)
