"""Who may ask this server: the user with one random key, and containers with another.

Keys are made anew at each start. The user's is printed as exports, and lies in the file
`exports.sh` of the state's folder, which nobody else can read.
"""

import os
import shlex
import time
from collections.abc import Mapping
from pathlib import Path

import botocore.session
from flask import g, request
from werkzeug.exceptions import RequestEntityTooLarge

from local_sagemaker.access import signatures
from local_sagemaker.access.sessions import Sessions
from local_sagemaker.access.signatures import Key, Received
from local_sagemaker.contract import SERIALIZATION, ApiError

EXPORTS = "exports.sh"
# The variables of the services that local SageMaker stands in for.
URLS = (
    "AWS_ENDPOINT_URL_SAGEMAKER",
    "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
    "AWS_ENDPOINT_URL_SERVICE_QUOTAS",
    "AWS_ENDPOINT_URL_RESOURCE_GROUPS_TAGGING_API",
    "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING",
)
READING = ("Describe", "List")  # operations that containers may ask for, by their first word


class Access:
    """The keys of one server. own: those that it signs its own calls with are good as well."""

    def __init__(self, own: bool = False) -> None:
        self._own = own
        self._user = signatures.new_key()
        self._containers = signatures.new_key()
        self.console = Sessions()

    def user_environment(self, url: str) -> dict[str, str]:
        """The variables with which a client of the user's finds the server."""
        return _environment(url, self._user)

    def container_environment(self, url: str) -> dict[str, str]:
        """The same for the containers of jobs and endpoints. url: as they reach the server."""
        return _environment(url, self._containers)

    @property
    def of_containers(self) -> Key:
        return self._containers

    def check(self) -> None:
        """Flask's current request: ApiError when neither key signed it."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        target = request.environ.get("RAW_URI", request.full_path)
        path, _, query = target.partition("?")
        if not path.startswith("/"):  # an absolute-form target
            path = "/" + path.partition("://")[2].partition("/")[2]
        received = Received(request.method, path, query, headers)
        signed = signatures.claimed(received, time.time())
        try:
            body = request.get_data()  # only now: an unsigned body is not read
        except RequestEntityTooLarge as error:
            raise ApiError("", "the request's body is too large for this server", 413) from error
        except OSError as error:  # such as a chunk whose length is none
            message = f"the request's body cannot be read: {error}"
            raise ApiError(SERIALIZATION, message) from error
        keys = [self._user, self._containers, *self._own_keys()]
        key = signatures.verify(received, body, signed, keys)
        g.region = signed.region
        g.by_container = key is self._containers

    def _own_keys(self) -> list[Key]:
        """The key that boto3 finds for this process, where it is to be taken; it may change."""
        found = self._own and botocore.session.get_session().get_credentials()
        if not found:
            return []
        key = found.get_frozen_credentials()
        return [Key(str(key.access_key), str(key.secret_key))]

    def exports(self, folder: Path, url: str, more: Mapping[str, str]) -> str:
        """The user's variables as shell commands, also written to a file that is his alone.

        more: variables beside those of this server.
        """
        text = as_exports({**self.user_environment(url), **more})
        path = folder / EXPORTS
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        return text


def check_operation(name: str) -> None:
    """ApiError for an operation that containers may not ask for, where one asks.

    On AWS a role decides that. Here a container reads; it starts, stops and deletes nothing, since
    whoever starts a job may read and write folders of this machine.
    """
    if g.by_container and not name.startswith(READING):
        raise signatures.refused(
            "AccessDeniedException",
            f"a container's key is not authorized to perform: sagemaker:{name}",
        )


def as_exports(variables: Mapping[str, str]) -> str:
    """Shell commands, one per variable."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def read_exports(folder: Path) -> dict[str, str]:
    """The variables that a server on this state's folder has written."""
    text = (folder / EXPORTS).read_text(encoding="utf-8")
    pairs = [line.removeprefix("export ").partition("=") for line in text.splitlines()]
    return {name: shlex.split(value)[0] for name, _, value in pairs}


def _environment(url: str, key: Key) -> dict[str, str]:
    keys = {"AWS_ACCESS_KEY_ID": key.id, "AWS_SECRET_ACCESS_KEY": key.secret}
    return {**dict.fromkeys(URLS, url), **keys}
