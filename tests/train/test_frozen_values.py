"""Values that several parts share cannot be changed by one of them."""

import dataclasses

import pytest

from train.data.augmentation import Preset
from train.data.cache import CacheLimits
from train.data.channels import Channels, Photos
from train.distributed.context import DistributedContext
from train.job import Job
from train.model.incremental import EarlierArtifact
from train.model.networks import Network
from train.model.split_at_frozen import SplitNetwork
from train.model.weights import Source
from train.recording.debug_settings import DebugSettings
from train.recording.profile_settings import ProfileSettings
from train.result.measure import Answers
from train.result.training_report import ReportedAnswers

SHARED = (
    Answers,
    CacheLimits,
    Channels,
    DebugSettings,
    DistributedContext,
    EarlierArtifact,
    Job,
    Network,
    Photos,
    Preset,
    ProfileSettings,
    ReportedAnswers,
    Source,
    SplitNetwork,
)


@pytest.mark.parametrize("kind", SHARED)
def test_a_shared_value_is_frozen(kind):
    value = object.__new__(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(kind)[0].name, None)
