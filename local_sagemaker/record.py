"""The type of requests, answers and what the server remembers: JSON objects of SageMaker's API."""

from typing import Any

# Fields and their types are botocore's: contract.py checks each request against its model.
Record = dict[str, Any]
