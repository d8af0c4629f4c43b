"""python -m diagnose as its users see it: answers, exit codes, findings.json, bad input."""

import json
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from torch import nn

from diagnose.__main__ import main
from diagnose.diagnosis import NAMES
from diagnose.evaluation import evaluate_tensors
from diagnose.records import decode
from diagnose.smdebug_compat import load_smdebug
from tests.support.jobs import REPOSITORY
from tests.support.watched_training import photos, small_network, watch
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import open_hook


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A short sound training."""
    root = tmp_path_factory.mktemp("run")
    watch(root, small_network(), train=photos(48), epochs=3, steps=2, lr=0.01)
    return root


@pytest.fixture
def copy(run, tmp_path):
    """The same, to be damaged."""
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


def command(capfd, *arguments) -> tuple[int, str]:
    code = main([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    return code, captured.out + captured.err


def test_a_rule_that_fires_says_where_and_what_to_do_and_exits_with_3(run, capfd):
    code, said = command(
        capfd,
        run,
        "--rules",
        "vanishing_gradient,DeadRelu",
        "--parameters",
        "VanishingGradient.threshold=1000",
    )
    assert code == 3
    assert re.search(
        r"VanishingGradient: fired at train step 0, tensor gradient/Sequential_\d\.\w+: .*\(value [\d.e-]+, threshold 1000\)\. Try: \w+",
        said,
    ), said
    assert "DeadRelu: no issue in 6 saved steps" in said and "fired=VanishingGradient" in said


def test_a_sound_training_exits_with_0_and_leaves_sagemakers_statuses(run, capfd):
    code, said = command(capfd, run, "--rules", "VanishingGradient,ExplodingTensor")
    assert code == 0 and "fired=none" in said
    written = json.loads((run / "findings.json").read_text())
    statuses = written["DebugRuleEvaluationStatuses"]
    assert [entry["RuleConfigurationName"] for entry in statuses] == [
        "VanishingGradient",
        "ExplodingTensor",
    ]
    for entry in statuses:
        assert set(entry) == {
            "RuleConfigurationName",
            "RuleEvaluationJobArn",
            "RuleEvaluationStatus",
            "StatusDetails",
            "LastModifiedTime",
        }
        assert entry["RuleEvaluationStatus"] == "NoIssuesFound"
        assert re.fullmatch(
            r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:processing-job/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
            entry["RuleEvaluationJobArn"],
        )
        assert abs(entry["LastModifiedTime"] - time.time()) < 600


def test_the_list_of_rules_loads_no_smdebug():
    code = "import sys; from diagnose.__main__ import main; main(['--list']); assert 'smdebug' not in sys.modules and 'torch' not in sys.modules"
    listed = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.split()
    assert listed == list(NAMES) and len(listed) == 26


@pytest.mark.parametrize("place", [".", "output", "output/data/tensors"])
def test_tensors_are_found_wherever_they_are_named(copy, place):
    (finding,) = evaluate_tensors(copy / place, "VanishingGradient")
    assert finding.status == "NoIssuesFound" and (copy / place / "findings.json").is_file()


def test_smdebugs_own_layout_is_found(copy, tmp_path):
    (tmp_path / "smdebug_output").mkdir()
    (copy / "output" / "data" / "tensors").rename(
        tmp_path / "smdebug_output" / "Nov21_10-00-00_host"
    )
    assert evaluate_tensors(tmp_path / "smdebug_output", "VanishingGradient")[0].steps == 6


def test_parameters_come_from_a_file_too_and_as_texts(run, tmp_path, capfd):
    (tmp_path / "parameters.json").write_text(
        json.dumps(
            {"VanishingGradient": {"threshold": "1e9"}, "exploding_tensor": {"only_nan": True}}
        )
    )
    code, said = command(
        capfd,
        run,
        "--rules",
        "VanishingGradient,ExplodingTensor",
        "--parameters",
        tmp_path / "parameters.json",
        "ExplodingTensor.only_nan=false",
    )
    assert code == 3 and "threshold 1e+09" in said


def test_steps_can_be_left_out(run):
    (finding,) = evaluate_tensors(
        run,
        "VanishingGradient",
        {"VanishingGradient": {"threshold": 1e9, "start_step": 3, "end_step": "5"}},
    )
    assert finding.step == 3


def test_findings_go_where_they_are_wanted(run, tmp_path):
    evaluate_tensors(run, "DeadRelu", write_to=tmp_path)
    assert json.loads((tmp_path / "findings.json").read_text())["findings"][0]["rule"] == "DeadRelu"


def test_rules_run_on_smdebugs_own_trial_and_invoker_too(run):
    from smdebug.exceptions import RuleEvaluationConditionMet
    from smdebug.rules import invoke_rule
    from smdebug.trials import create_trial

    from diagnose.gradients import VanishingGradient
    from diagnose.losses import LossNotDecreasing

    with load_smdebug():
        trial = create_trial(str(run / "output" / "data" / "tensors"))
        with pytest.raises(RuleEvaluationConditionMet, match="VanishingGradient at step 0"):
            invoke_rule(VanishingGradient(trial, threshold=1000), end_step=6, raise_eval_cond=True)
        rule = LossNotDecreasing(trial, num_steps=2)
        invoke_rule(rule, end_step=6)
    assert rule.report["Datapoints"] == 2 and rule.report["RuleTriggered"] == 0


BAD_ARGUMENTS = [
    (
        ["--rules", "VanishingGradients"],
        1,
        "rule 'VanishingGradients' is unknown; known: VanishingGradient, ",
    ),
    (["--rules", " , "], 1, "no rule is named"),
    (
        ["--parameters", "VanishingGradient.treshold=1"],
        1,
        "has no parameter 'treshold'; known: threshold, start_step, end_step",
    ),
    (
        ["--parameters", "VanishingGradient.threshold=low"],
        1,
        "VanishingGradient.threshold must be a number; found 'low'",
    ),
    (
        ["--parameters", "Overfit.patience=1.5"],
        1,
        "Overfit.patience must be a whole number; found '1.5'",
    ),
    (["--parameters", "ExplodingTensor.only_nan=maybe"], 1, "must be true or false; found 'maybe'"),
    (["--parameters", "DeadRelu.tensor_regex=("], 1, "is no regular expression"),
    (["--parameters", "threshold"], 1, "'threshold' is neither"),
    (["--parameters", "missing.json"], 1, "'missing.json' is neither"),
    (
        ["--rules", "DeadRelu", "--parameters", "Overfit.patience=2"],
        1,
        "there are parameters for Overfit, which does not run",
    ),
    (["--rules", "SimilarAcrossRuns"], 1, "SimilarAcrossRuns needs the parameter 'other_trials'"),
    (
        ["--rules", "SimilarAcrossRuns", "--parameters", "SimilarAcrossRuns.other_trials=/nowhere"],
        1,
        "there is no folder '/nowhere'",
    ),
    (["--rules", "SaturatedActivation"], 1, "not judged: it needs inputs of tanh or sigmoid"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"), BAD_ARGUMENTS, ids=[entry[2][:30] for entry in BAD_ARGUMENTS]
)
def test_bad_arguments(run, capfd, arguments, code, sentence):
    found, said = command(capfd, run, *arguments)
    assert found == code and sentence in said and "Traceback" not in said, said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OUT --action stop",
        "OUT --stop-pid 1",
        "OUT --follow --action burn",
        "OUT --follow --timeout nan",
        "OUT --follow --stop-pid 0",
    ],
)
def test_wrong_options(text, capsys):
    with pytest.raises(SystemExit) as end:
        main(text.split())
    assert end.value.code == 2 and "error:" in capsys.readouterr().err


def test_no_folder_and_no_tensors(tmp_path, capfd):
    code, said = command(capfd, tmp_path / "nowhere")
    assert code == 1 and f"there is no folder '{tmp_path / 'nowhere'}'" in said
    code, said = command(capfd, tmp_path)
    assert code == 1 and "holds no saved tensors" in said and "debug=true" in said


def test_a_crashed_run_is_judged_as_far_as_it_came(tmp_path):
    watch(tmp_path, small_network(), epochs=1, close=False)
    (finding,) = evaluate_tensors(tmp_path, "VanishingGradient")
    assert finding.steps == 4  # of five: the last was not closed


def test_a_run_that_crashed_before_its_first_step(tmp_path, capfd):
    hook = open_hook(Job(tmp_path), DebugSettings(), small_network())
    (tmp_path / "output" / "data" / "tensors" / "collections").mkdir()
    code, said = command(capfd, tmp_path)
    assert code == 1 and "before its first step was saved" in said
    hook.close()


def damage(root, how: str) -> None:
    tensors = root / "output" / "data" / "tensors"
    index = sorted((tensors / "index").rglob("*.json"))
    events = sorted((tensors / "events").rglob("*.tfevents"))
    match how:
        case "index cut off":
            index[2].write_bytes(index[2].read_bytes()[:200])
        case "index of another kind":
            index[2].write_text(
                '{"meta": {"mode": "NONE", "mode_step": 2}, "tensor_payload": [{}]}'
            )
        case "index empty":
            index[2].write_bytes(b"")
        case "events cut off":
            events[2].write_bytes(events[2].read_bytes()[:900])
        case "events gone":
            events[2].unlink()
        case "events of noise":
            events[2].write_bytes(np.random.default_rng(0).bytes(events[2].stat().st_size))
        case "end missing":
            (tensors / "training_job_end.ts").unlink()
            (tensors / "training.json").unlink()


@pytest.mark.parametrize(
    "how",
    [
        "index cut off",
        "index of another kind",
        "index empty",
        "events cut off",
        "events gone",
        "events of noise",
        "end missing",
    ],
)
def test_half_written_files_are_left_out(copy, how, capfd):
    damage(copy, how)
    started = time.monotonic()
    code, said = command(
        capfd,
        copy,
        "--rules",
        "VanishingGradient,ExplodingTensor,WeightUpdateRatio,Confusion",
        "--parameters",
        "Confusion.min_diag=0",
        "Confusion.max_off_diag=1",
    )
    assert code == 0 and time.monotonic() - started < 10, said
    assert ("is damaged and was left out" in said) == (how != "end missing"), said


@pytest.mark.parametrize("content", ["", "{", "[]", '{"num_workers": 1}'])
def test_damaged_collections(copy, content, capfd):
    (file,) = (copy / "output" / "data" / "tensors" / "collections").rglob("*.json")
    file.write_text(content)
    code, said = command(capfd, copy)
    assert code == 1 and "is damaged" in said and "Traceback" not in said, said


def test_nothing_but_damage(copy, capfd):
    for file in (copy / "output" / "data" / "tensors" / "index").rglob("*.json"):
        file.write_text("{")
    code, said = command(capfd, copy)
    assert code == 1 and "holds no complete step (6 files are damaged)" in said


def test_a_folder_that_cannot_be_written(copy, capfd):
    (copy / "findings.json").unlink(missing_ok=True)
    (copy / "findings.json").mkdir()
    code, said = command(capfd, copy)
    assert code == 1 and "failed: " in said and "findings.json" in said


def test_numbers_that_json_lacks(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    watch(tmp_path, network, epochs=1, lr=1e38)
    (finding,) = evaluate_tensors(tmp_path, "ExplodingTensor")
    assert finding.fired
    assert json.loads((tmp_path / "findings.json").read_text())["findings"][0]["value"] in (
        "nan",
        "inf",
        "-inf",
    )


def test_records_of_every_dtype_and_shape():
    from smdebug.core.modes import ModeKeys
    from smdebug.core.tfrecord.tensor_reader import TensorReader

    from train.recording.event_files import event, metadata

    for dtype in ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool"):
        for shape in ((), (1,), (3, 0), (200, 3)):
            values = (np.random.default_rng(1).random(shape) * 100).astype(dtype)
            payload = event(values, "näme", 300, metadata(ModeKeys.EVAL, 129), 1.5)
            record = framed(payload)
            if values.size:
                ((name, step, theirs, mode, mode_step),) = TensorReader(record).read_tensors()
                assert (name, step, mode, mode_step) == ("näme", 300, ModeKeys.EVAL, 129)
                np.testing.assert_array_equal(theirs, values)
            np.testing.assert_array_equal(decode(record), values, strict=True)
    with pytest.raises(ValueError, match="cut off"):
        decode(record[:-3])


def framed(payload: bytes) -> bytes:
    import struct

    from smdebug.core.tfrecord.record_writer import CHECKSUM_MAGIC_BYTES, masked_crc32c

    head = struct.pack("<Q", len(payload))
    return (
        head
        + struct.pack("<I", masked_crc32c(head))
        + payload
        + struct.pack("<I", masked_crc32c(CHECKSUM_MAGIC_BYTES))
    )
