"""The history of a training: history.csv where its folder cannot take it."""

from tests.train.test_fit import BOTH_RIGHT, Script, never, plan
from train.learning.fit import fit


def test_a_history_that_cannot_be_written_ends_no_training(tmp_path, capsys):
    """Its checkpoints are there, and each epoch writes the whole history again."""
    (tmp_path / "output").mkdir()
    (tmp_path / "output/data").write_text("a file where a folder should be")
    training = plan(tmp_path, Script(BOTH_RIGHT))
    fit(training, never)
    assert training.state.epoch == 3
    shown = capsys.readouterr().out
    assert shown.count("the history could not be written: File exists") == 3
