"""python -m diagnose as its users see it: answers, exit codes, findings.json, bad input."""

import json
import re
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest

from diagnose.__main__ import main
from diagnose.diagnosis import NAMES
from diagnose.evaluation import evaluate_tensors
from diagnose.smdebug_compat import load_smdebug
from tests.support.diagnose_command import command
from tests.support.jobs import REPOSITORY
from tests.support.watched_training import small_network, watch
from train.job import Job
from train.recording.debug_settings import DebugSettings
from train.recording.hooks import open_hook

FIRED_LINE = (
    r"VanishingGradient: fired at train step 1, tensor gradient/Sequential_\d\.\w+: .*"
    r"\(value [\d.e-]+, threshold 1000\)\. Try: \w+"
)
# by SageMaker's API reference
EVALUATION_JOB_ARN = (
    r"arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:"
    r"processing-job/[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
)
# Loading both takes seconds, and the list needs neither.
LIST_WITHOUT_SMDEBUG = """
import sys
from diagnose.__main__ import main
main(["--list"])
assert "smdebug" not in sys.modules
assert "torch" not in sys.modules
"""


def test_a_wait_for_smdebug_is_said(sound, capfd, monkeypatch):
    said = []

    def loading(*words: str) -> nullcontext[None]:
        said.append(words)
        return nullcontext()

    monkeypatch.setattr("diagnose.evaluation.Loading", loading)
    main([str(sound)])
    assert said[:1] == [("diagnose", "smdebug and torch")]


def test_a_rule_that_fires_says_where_and_what_to_do_and_exits_with_3(sound, capfd):
    code, said = command(
        capfd,
        sound,
        "--rules",
        "vanishing_gradient,DeadRelu",
        "--parameters",
        "VanishingGradient.threshold=1000",
    )
    assert code == 3
    assert re.search(FIRED_LINE, said), said
    assert "DeadRelu: no issue in 6 saved steps" in said
    assert "fired=VanishingGradient" in said


def test_a_sound_training_exits_with_0_and_leaves_sagemakers_statuses(sound, capfd):
    code, said = command(capfd, sound, "--rules", "VanishingGradient,ExplodingTensor")
    assert code == 0
    assert "fired=none" in said
    written = json.loads((sound / "findings.json").read_text())
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
        assert re.fullmatch(EVALUATION_JOB_ARN, entry["RuleEvaluationJobArn"])
        assert abs(entry["LastModifiedTime"] - time.time()) < 600


def test_the_list_of_rules_loads_no_smdebug():
    done = subprocess.run(
        [sys.executable, "-c", LIST_WITHOUT_SMDEBUG],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = done.stdout.split()
    assert listed == list(NAMES)
    assert len(listed) == 26


@pytest.mark.parametrize("place", [".", "output", "output/data/tensors"])
def test_tensors_are_found_wherever_they_are_named(copy, place):
    (finding,) = evaluate_tensors(copy / place, "VanishingGradient")
    assert finding.status == "NoIssuesFound"
    assert (copy / place / "findings.json").is_file()


def test_smdebugs_own_layout_is_found(copy, tmp_path):
    (tmp_path / "smdebug_output").mkdir()
    (copy / "output" / "data" / "tensors").rename(
        # As smdebug names the folder of a run.
        tmp_path / "smdebug_output" / "Nov21_10-00-00_host"
    )
    assert evaluate_tensors(tmp_path / "smdebug_output", "VanishingGradient")[0].steps == 6


def test_parameters_come_from_a_file_too_and_as_texts(sound, tmp_path, capfd):
    (tmp_path / "parameters.json").write_text(
        json.dumps(
            # Names in either style; values as texts, or not.
            {"VanishingGradient": {"threshold": "1e9"}, "exploding_tensor": {"only_nan": True}}
        )
    )
    code, said = command(
        capfd,
        sound,
        "--rules",
        "VanishingGradient,ExplodingTensor",
        "--parameters",
        tmp_path / "parameters.json",
        # What is given last counts.
        "ExplodingTensor.only_nan=false",
    )
    assert code == 3
    assert "threshold 1e+09" in said


def test_steps_can_be_left_out(sound):
    (finding,) = evaluate_tensors(
        sound,
        "VanishingGradient",
        {"VanishingGradient": {"threshold": 1e9, "start_step": 3, "end_step": "5"}},
    )
    assert finding.step == 3


def test_findings_go_where_they_are_wanted(sound, tmp_path):
    evaluate_tensors(sound, "DeadRelu", write_to=tmp_path)
    assert json.loads((tmp_path / "findings.json").read_text())["findings"][0]["rule"] == "DeadRelu"


def test_rules_run_on_smdebugs_own_trial_and_invoker_too(sound):
    from smdebug.exceptions import RuleEvaluationConditionMet
    from smdebug.rules import invoke_rule
    from smdebug.trials import create_trial

    from diagnose.gradients import VanishingGradient
    from diagnose.losses import LossNotDecreasing

    with load_smdebug():
        trial = create_trial(str(sound / "output" / "data" / "tensors"))
        with pytest.raises(RuleEvaluationConditionMet, match="VanishingGradient at step 0"):
            invoke_rule(
                VanishingGradient(trial, threshold=1000, warmup_steps=0),
                end_step=6,
                raise_eval_cond=True,
            )
        rule = LossNotDecreasing(trial, num_steps=2, smoothing=0)
        invoke_rule(rule, end_step=6)
    assert rule.report["Datapoints"] == 2
    assert rule.report["RuleTriggered"] == 0


BAD_ARGUMENTS = [
    (
        ["--rules", "VanishingGradients"],
        1,
        "rule 'VanishingGradients' is unknown (did you mean 'VanishingGradient'?); known: ",
    ),
    (["--rules", " , "], 1, "no rule is named"),
    (
        ["--parameters", "VanishingGradient.treshold=1"],
        1,
        "has no parameter 'treshold' (did you mean 'threshold'?); known: threshold, loss_above, ",
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
    (["--parameters", "DeadRelu.tensor_regex=("], 1, "is not a regular expression"),
    (["--parameters", "Overfit.defaults=aws"], 1, "defaults must be ours or sagemaker"),
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
        "the folder '/nowhere' does not exist",
    ),
    (["--rules", "SaturatedActivation"], 1, "not judged: it needs inputs of tanh or sigmoid"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"), BAD_ARGUMENTS, ids=[entry[2][:30] for entry in BAD_ARGUMENTS]
)
def test_bad_arguments(sound, capfd, arguments, code, sentence):
    found, said = command(capfd, sound, *arguments)
    assert found == code, said
    assert sentence in said, said
    assert "Traceback" not in said, said


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
    assert end.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_no_folder_and_no_tensors(tmp_path, capfd):
    code, said = command(capfd, tmp_path / "nowhere")
    assert code == 1
    assert f"the folder '{tmp_path / 'nowhere'}' does not exist" in said
    code, said = command(capfd, tmp_path)
    assert code == 1
    assert "holds no saved tensors" in said
    assert "debug=true" in said


@pytest.mark.training
def test_a_crashed_run_is_judged_as_far_as_it_came(tmp_path):
    watch(tmp_path, small_network(), epochs=1, close=False)
    (finding,) = evaluate_tensors(tmp_path, "VanishingGradient")
    assert finding.steps == 4  # of five: the last was not closed


def test_a_run_that_crashed_before_its_first_step(tmp_path, capfd):
    hook = open_hook(Job(tmp_path), DebugSettings(), small_network())
    assert hook is not None
    (tmp_path / "output" / "data" / "tensors" / "collections").mkdir()
    code, said = command(capfd, tmp_path)
    assert code == 1
    assert "before its first step was saved" in said
    hook.close()
