"""Answers of STS and IAM that SageMaker's SDKs need, and moto has not: a WSGI app in front of it.

GetCallerIdentity: whoever asks has taken the account's role, as a notebook on SageMaker has.
SimulatePrincipalPolicy: all is allowed, since no policy is evaluated here.
"""

import io
import urllib.parse
from collections.abc import Iterable
from itertools import chain
from typing import Any
from xml.sax.saxutils import escape

MOST_BYTES = 2**20  # of a request that is looked into
ACCOUNT = "123456789012"  # moto's own
FORM = "application/x-www-form-urlencoded"
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    "<GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROALOCAL:local</UserId>"
    f"<Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)
ALLOWED = (
    "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}"
    "</EvalResourceName><EvalDecision>allowed</EvalDecision></member>"
)
SIMULATED = (
    '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
    "<SimulatePrincipalPolicyResult><IsTruncated>false</IsTruncated>"
    "<EvaluationResults>{results}</EvaluationResults></SimulatePrincipalPolicyResult>"
    "<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata>"
    "</SimulatePrincipalPolicyResponse>"
)


class Identity:
    """app: the one behind it. role: the name of the role that every caller has."""

    def __init__(self, app: Any, role: str) -> None:  # WSGI apps have no common type
        self._app = app
        self._role = role

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        content = self._answer(_form(environ))
        if content is None:
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        body = content.encode()
        headers = [("Content-Type", "text/xml"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    def _answer(self, form: dict[str, list[str]]) -> str | None:
        """The answer to a call's form; None where moto answers it."""
        action = form.get("Action", [""])[0]
        if action == "GetCallerIdentity":
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/{self._role}/local"
            return IDENTITY.format(arn=escape(arn))
        if action == "SimulatePrincipalPolicy":
            return SIMULATED.format(results="".join(_allowed(form)))
        return None


def _allowed(form: dict[str, list[str]]) -> Iterable[str]:
    """A result for each action on each resource of a call of SimulatePrincipalPolicy."""
    actions = _members(form, "ActionNames")
    for resource in _members(form, "ResourceArns") or ["*"]:
        for action in actions:
            yield ALLOWED.format(action=escape(action), resource=escape(resource))


def _members(form: dict[str, list[str]], name: str) -> list[str]:
    """A list of AWS's query protocol: name.member.1, name.member.2 …"""
    found = [key for key in form if key.startswith(f"{name}.member.")]
    return list(chain.from_iterable(form[key] for key in found))


def _form(environ: dict[str, Any]) -> dict[str, list[str]]:
    """The fields of a posted form; what is read of the body is put back for the app behind."""
    size = environ.get("CONTENT_LENGTH", "")
    posted = environ.get("REQUEST_METHOD") == "POST" and environ.get("PATH_INFO") == "/"
    if not posted or not environ.get("CONTENT_TYPE", "").startswith(FORM):
        return {}
    if not size.isdigit() or int(size) > MOST_BYTES:
        return {}
    body = environ["wsgi.input"].read(int(size))
    environ["wsgi.input"] = io.BytesIO(body)
    return urllib.parse.parse_qs(body.decode("utf-8", errors="replace"))
