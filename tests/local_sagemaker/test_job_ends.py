"""The FailureReason of a container that failed."""

import pytest

from local_sagemaker.job_ends import REASON_LENGTH, algorithm_failed, failure_reason


@pytest.mark.parametrize("length", [0, 30, 5000])
def test_the_exit_code_is_shown_behind_any_number_of_words(length):
    reason = failure_reason(algorithm_failed("x" * length, 137))
    assert reason.startswith("AlgorithmError: " + "x" * min(length, 900))
    assert reason.endswith(", exit code: 137")
    assert len(reason) <= REASON_LENGTH
