"""The list of fields that answers leave out fits botocore's model, and names all operations."""

import pytest

from local_sagemaker.server import OPERATIONS
from tests.clients.fields import LEFT_OUT, fields_of


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_in_the_model(name):
    assert set(LEFT_OUT[name]) <= fields_of(name)


def test_every_operation_that_describes_or_lists_is_looked_at():
    done = {name for name in OPERATIONS if name.startswith(("Describe", "List"))}
    assert done - {"ListTags"} == set(LEFT_OUT)
