"""Signature Version 4 on a request that came in: whose key signed it, and for which region.

botocore's signer computes the signature anew. The header's form and a presigned URL's are known.
Source: AWS's guide "Signature Version 4 for API requests"; the codes are those of SageMaker's
"Common Errors".
"""

import datetime
import email.utils
import hashlib
import hmac
import re
import secrets
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import ReadOnlyCredentials

from local_sagemaker.contract import ApiError

ALGORITHM = "AWS4-HMAC-SHA256"
HEADER = re.compile(
    rf"{ALGORITHM} +Credential=([^\s,]+), *SignedHeaders=([^\s,]+), *Signature=([0-9a-f]+)"
)
SCOPE = re.compile(r"([A-Za-z0-9]{1,128})/(\d{8})/([a-z0-9-]{1,40})/([a-z0-9-]{1,40})/aws4_request")
# sagemaker-runtime signs as sagemaker, the Resource Groups Tagging API as tagging.
SERVICES = ("sagemaker", "servicequotas", "tagging", "application-autoscaling")
MOST_S = 15 * 60  # between a request's date and its arrival, either way
MOST_EXPIRES_S = 7 * 24 * 3600  # of a presigned URL
DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Key:
    """An access key: its id, and its secret."""

    id: str
    secret: str


@dataclass(frozen=True)
class Received:
    """A request as it came. path, query: as they were written; headers: by lower-case names."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Signed:
    """What a request says of its signature; nothing of it is verified.

    date: in seconds since the epoch; timestamp: the same as it was signed. query: without the
    signature.
    """

    key: str
    day: str
    region: str
    service: str
    names: tuple[str, ...]
    signature: str
    timestamp: str
    date: float
    expires_s: int
    query: str


def new_key() -> Key:
    """A random key: an id like AWS's, and 240 random bits."""
    return Key(f"LOCAL{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30))


def claimed(request: Received, now: float, services: tuple[str, ...] | None = SERVICES) -> Signed:
    """What the request claims, where it is in time. ApiError when it is not signed rightly.

    now: seconds since the epoch. The body need not be there yet. services: None for any.
    """
    given = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    if "authorization" in request.headers:
        signed = _from_header(request)
    elif "X-Amz-Signature" in given or "X-Amz-Algorithm" in given:
        signed = _from_query(request, given)
    else:
        raise refused("MissingAuthenticationToken", "Missing Authentication Token")
    if services is not None and signed.service not in services:
        raise refused(
            "SignatureDoesNotMatch", f"Credential should be scoped to service: {services[0]}"
        )
    _check_names(request, signed)
    _check_time(signed, now)
    return signed


def verify(request: Received, body: bytes, signed: Signed, keys: Iterable[Key]) -> Key:
    """The key that signed the request. ApiError when none of these did."""
    digest = hashlib.sha256(body).hexdigest()
    # Clients that send the digest sign it, too; no other of S3's values for it is SageMaker's.
    if request.headers.get("x-amz-content-sha256", digest) != digest:
        raise refused(
            "SignatureDoesNotMatch", "x-amz-content-sha256 is not the SHA-256 of the body"
        )
    return verify_digest(request, digest, signed, keys)


def verify_digest(request: Received, digest: str, signed: Signed, keys: Iterable[Key]) -> Key:
    """The same by the SHA-256 of a body that is not here, or what S3's clients write for it."""
    for key in keys:
        if hmac.compare_digest(key.id, signed.key):
            break
    else:
        message = "The security token included in the request is invalid."
        raise refused("InvalidClientTokenId", message)
    right = _Signer(key, signed, digest).signature_of(request)
    if not hmac.compare_digest(right, signed.signature):
        raise refused(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return key


def refused(code: str, message: str) -> ApiError:
    """The error for a request whose caller is not known."""
    return ApiError(code, message, 403)


class _Signer(SigV4Auth):
    """botocore's signer over the headers that the client signed. digest: the body's SHA-256."""

    def __init__(self, key: Key, signed: Signed, digest: str) -> None:
        super().__init__(ReadOnlyCredentials(key.id, key.secret, ""), signed.service, signed.region)
        self._signed = signed
        self._digest = digest

    def signature_of(self, received: Received) -> str:
        """The right signature, in hex."""
        url = f"http://local{received.path}?{self._signed.query}"
        request = AWSRequest(received.method, url, received.headers)
        request.context["timestamp"] = self._signed.timestamp
        text = self.string_to_sign(request, self.canonical_request(request))
        signature: str = self.signature(text, request)
        return signature

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        """The client's own choice: others leave out other headers than botocore does."""
        headers = HTTPHeaders()
        for name in self._signed.names:
            headers[name] = request.headers.get(name, "")
        return headers

    def _normalize_url_path(self, path: str) -> str:
        if self._signed.service == "s3":  # whose keys may hold what looks like a step up
            return path
        # botocore's types leave the method out
        normalized: str = super()._normalize_url_path(path)  # type: ignore[misc]
        return normalized

    def payload(self, request: AWSRequest) -> str:
        return self._digest


def _from_header(request: Received) -> Signed:
    found = HEADER.fullmatch(request.headers["authorization"].strip())
    if found is None:
        raise refused(
            "IncompleteSignature",
            f"the Authorization header must be '{ALGORITHM} Credential=…, SignedHeaders=…, "
            "Signature=…'",
        )
    timestamp = request.headers.get("x-amz-date") or _as_amz(request.headers.get("date", ""))
    return _signed(found[1], found[2], found[3], timestamp, MOST_S, request.query)


def _from_query(request: Received, given: dict[str, str]) -> Signed:
    if given.get("X-Amz-Algorithm") != ALGORITHM:
        raise refused("IncompleteSignature", f"X-Amz-Algorithm must be {ALGORITHM}")
    expires = given.get("X-Amz-Expires", "")
    if not re.fullmatch(r"[0-9]{1,6}", expires) or int(expires) > MOST_EXPIRES_S:
        message = f"X-Amz-Expires must be a number of seconds, at most {MOST_EXPIRES_S}"
        raise refused("IncompleteSignature", message)
    pairs = request.query.split("&")
    rest = [pair for pair in pairs if not pair.startswith("X-Amz-Signature=")]
    return _signed(
        given.get("X-Amz-Credential", ""),
        given.get("X-Amz-SignedHeaders", ""),
        given.get("X-Amz-Signature", ""),
        given.get("X-Amz-Date", ""),
        int(expires),
        "&".join(rest),
    )


def _signed(
    credential: str, names: str, signature: str, timestamp: str, expires_s: int, query: str
) -> Signed:
    scope = SCOPE.fullmatch(credential)
    if scope is None:
        raise refused(
            "IncompleteSignature", "Credential must be KEY/DATE/REGION/SERVICE/aws4_request"
        )
    if not re.fullmatch(r"[0-9a-f]{64}", signature):
        raise refused("IncompleteSignature", "the Signature must be 64 hexadecimal digits")
    date = _seconds(timestamp)
    if not timestamp.startswith(scope[2]):
        message = "Credential should be scoped to the date of the request"
        raise refused("SignatureDoesNotMatch", message)
    return Signed(
        scope[1],
        scope[2],
        scope[3],
        scope[4],
        tuple(names.lower().split(";")),
        signature,
        timestamp,
        date,
        expires_s,
        query,
    )


def _check_names(request: Received, signed: Signed) -> None:
    """ApiError where a header that must be signed is not: it could be anybody's."""
    needed = {"host"} | {name for name in request.headers if name.startswith("x-amz-")}
    for name in sorted(needed - set(signed.names)):
        raise refused(
            "IncompleteSignature", f"'{name}' must be a 'SignedHeader' in the AWS Authorization."
        )


def _check_time(signed: Signed, now: float) -> None:
    age_s = now - signed.date
    if not -MOST_S <= age_s <= min(MOST_S, signed.expires_s):
        raise refused(
            "RequestExpired",
            f"Signature expired: {signed.timestamp} is not within {MOST_S // 60} minutes of "
            f"{datetime.datetime.fromtimestamp(now, datetime.UTC).strftime(DATE)}",
        )


def _seconds(timestamp: str) -> float:
    """Seconds since the epoch of an X-Amz-Date."""
    try:
        if not timestamp.isascii():
            raise ValueError(timestamp)
        moment = datetime.datetime.strptime(timestamp, DATE)
    except ValueError as error:
        raise refused(
            "IncompleteSignature", "Date must be in ISO-8601 'basic format': YYYYMMDD'T'HHMMSS'Z'"
        ) from error
    return moment.replace(tzinfo=datetime.UTC).timestamp()


def _as_amz(date: str) -> str:
    """A Date header as an X-Amz-Date; "" where it is none."""
    try:
        moment = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return ""
    return moment.astimezone(datetime.UTC).strftime(DATE)
