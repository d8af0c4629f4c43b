"""One verdict over all rules, and findings.html, which shows what each of them watched."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from diagnose.diagnosis import diagnose_output
from diagnose.findings import CRITICAL, HINT, ISSUES_FOUND, WARNING, Finding, read_findings
from diagnose.findings import write_findings as write
from diagnose.findings_page import write_findings_page
from diagnose.line import MOST_POINTS, Line, points
from diagnose.page_links import PROFILER_PAGE, link_findings
from diagnose.verdict import Verdict, combined
from tests.support.diagnose_command import command
from tests.support.html_page import Page
from tests.support.recorded_profiles import machine, record_system

LOSS = Line(
    watched="loss",
    x_label="forward pass",
    curves={"Training": [(0.0, 2.0), (10.0, None), (20.0, 1.0)], "Validation": [(5.0, 1.5)]},
    mark=20.0,
    threshold=0.5,
)


def fired(rule: str, severity: str, line: Line | None = None, **fields) -> Finding:
    return Finding(rule, ISSUES_FOUND, "it is so", "a cure", severity=severity, line=line, **fields)


@pytest.fixture
def both(stuck, tmp_path) -> Path:
    """A training that learns nothing, with a profile on which no rule fires."""
    shutil.copytree(stuck, tmp_path / "both")
    record_system(tmp_path / "both" / "profiler-output", 120, machine(cpu=50, gpu=[95]))
    return tmp_path / "both"


@pytest.mark.training
def test_both_pages_have_one_verdict_and_link_to_each_other(both):
    diagnosis = diagnose_output(both)
    names = [finding.rule for finding in diagnosis.findings if finding.fired]
    assert names
    assert not any(result.triggered for result in diagnosis.results)
    page = (both / "findings.html").read_text()
    profile = (both / PROFILER_PAGE).read_text()
    count = len(diagnosis.findings) + len(diagnosis.results)
    for text in (page, profile):
        assert f"{len(names)} of {count} rules fired" in Page(text).text
        assert "No rule fired" not in text
    assert f'href="{PROFILER_PAGE}"' in page
    assert 'href="../../../findings.html"' in profile
    document = json.loads((both / "findings.json").read_text())
    assert document["verdict"].startswith(f"{len(names)} of {count} rules fired: ")
    statuses = document["ProfilerRuleEvaluationStatuses"]
    assert "CPUBottleneck" in [entry["RuleConfigurationName"] for entry in statuses]


@pytest.mark.training
def test_rules_asked_for_one_by_one_come_to_one_verdict(both, tmp_path, capfd):
    """As local SageMaker does it: a job's rules are processes, one after the other."""
    code, _ = command(capfd, both, "--rules", "UnchangedTensor")
    assert code == 3
    shutil.copy(both / "findings.json", tmp_path / "earlier.json")
    given = ("--answers", tmp_path / "earlier.json")
    code, said = command(capfd, both, "--rules", "ProfilerReport", *given)
    assert code == 0, "of the rules that were asked for now none fired"
    assert "verdict: 1 of 12 rules fired: UnchangedTensor (critical)." in said
    assert "1 of 12 rules fired" in Page((both / PROFILER_PAGE).read_text()).text
    assert "1 of 12 rules fired" in Page((both / "findings.html").read_text()).text


@pytest.mark.training
def test_each_rule_that_fired_draws_what_it_watched(both):
    diagnosis = diagnose_output(both)
    for finding in diagnosis.findings:
        if finding.fired:
            assert finding.line is not None, finding.rule
            assert finding.line.mark is not None
            for curve in finding.line.curves.values():
                assert len(curve) > 1, "also the steps after it fired"
    text = (both / "findings.html").read_text()
    assert text.count('<article class="finding') == text.count(">fired</text>")


def test_the_page_marks_the_step_and_the_threshold(tmp_path):
    verdict = Verdict([fired("Overfit", WARNING, LOSS, step=20, mode="EVAL", mode_step=3)])
    text = write_findings_page(tmp_path, verdict).read_text()
    page = Page(text)
    assert "What helps: A cure." in page.text
    assert "eval step 3" in page.text
    assert re.search(r'<path class="mark" d="M448\.0 12V184"/>', text), "20 is the last step"
    assert "threshold 0.5" in page.text
    assert page.text.count("http") == 0


def test_the_gravest_comes_first_on_the_page_and_last_in_a_terminal(tmp_path):
    verdict = Verdict([fired("B", HINT), fired("C", CRITICAL), fired("A", WARNING)])
    assert [finding.rule for finding in verdict.fired] == ["C", "A", "B"]
    assert verdict.sentence() == "3 of 3 rules fired: C (critical), A (warning), B (hint)."
    assert [line[0] for line in verdict.lines()] == ["B", "A", "C"]
    text = Page(write_findings_page(tmp_path, verdict).read_text()).text
    assert text.index("C critical") < text.index("A warning") < text.index("B hint")


def test_the_last_answer_of_a_rule_counts():
    first = fired("Overfit", WARNING)
    last = Finding("Overfit", "NoIssuesFound", "no issue in 3 saved steps")
    assert combined([first], [last]).fired == []


def test_answers_are_read_as_they_were_written(tmp_path):
    findings = [fired("ExplodingTensor", CRITICAL, LOSS, value=math.nan, threshold=math.inf)]
    (read,) = read_findings(write(tmp_path, "job", findings))
    assert read.line == LOSS
    assert str(read.value) == "nan"
    assert read.threshold == math.inf


@pytest.mark.parametrize("content", ["", "[]", '{"findings": [{"rule": 1}]}', '{"findings": 3}'])
def test_answers_that_are_none(tmp_path, capfd, content):
    (tmp_path / "other.json").write_text(content)
    code, said = command(capfd, tmp_path, "--answers", tmp_path / "other.json")
    assert code == 1
    assert f"'{tmp_path / 'other.json'}' is no findings.json" in said


def test_a_long_line_keeps_the_step_at_which_it_fired():
    steps = [(float(step), 1.0) for step in range(5000)]
    kept = points(steps, 333.0)
    assert len(kept) <= MOST_POINTS + 2
    assert (333.0, 1.0) in kept
    assert kept[-1] == steps[-1]


def test_a_report_links_to_findings_that_are_there(tmp_path):
    report = tmp_path / "report.html"
    report.write_text("<nav><!-- findings --></nav>")
    link_findings(report)
    assert "<a" not in report.read_text()
    (tmp_path / "findings.html").touch()
    link_findings(report)
    assert '<a href="findings.html">' in report.read_text()
