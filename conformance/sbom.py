"""python -m conformance.sbom IMAGE…: a CycloneDX bill of materials for each image, from what its layers hold.

It reads Debian's package list and Python's package metadata, and Java's release file, out of `docker save`: nothing is run in the image, and
no network is asked. What was copied in by hand, or is compiled into a wheel, it does not see.
"""

import argparse
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
from runtime import docker
from runtime.errors import RunError
from runtime.processes import REPOSITORY

STATUS, METADATA, RELEASE = "var/lib/dpkg/status", ".dist-info/METADATA", "/release"
WANTED = rf"^{STATUS}$|{re.escape(METADATA)}$|^opt/.*{RELEASE}$|(^|/)os-release$"
LICENCE_LENGTH = 80  # characters; what is longer is the licence's text


def main() -> int:
    """One file an image; the exit code is 1 when one could not be made."""
    parser = argparse.ArgumentParser(
        prog="sbom", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "sbom", help="folder (default: out/sbom)"
    )
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for image in options.images:
            path = options.out / f"{re.sub('[^A-Za-z0-9._-]', '_', image)}.cdx.json"
            bom = bill(image)
            path.write_text(
                make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(
                    indent=1
                ),
                encoding="utf-8",
            )
            kinds = [component.purl.type for component in bom.components]
            print(
                f"sbom: {image} components={len(kinds)} debian={kinds.count('deb')} python={kinds.count('pypi')} file={path}",
                flush=True,
            )
    except (RunError, OSError, CycloneDxException) as error:
        print(f"sbom: failed: {error}", file=sys.stderr)
        return 1
    return 0


def bill(image: str) -> Bom:
    """What an image holds; the same for the same image. RunError when there is no such image, or nothing is known of what it holds."""
    description = docker.image_description(image)
    files = present(image, WANTED)
    components = {component.bom_ref.value: component for component in _components(files)}
    if not components:
        raise RunError(f"'{image}' holds neither Debian's nor Python's package lists")
    bom = Bom(
        components=components.values(),
        serial_number=uuid.uuid5(uuid.NAMESPACE_OID, description["Id"]),
    )
    bom.metadata.timestamp = datetime.datetime.fromisoformat(description["Created"][:19] + "+00:00")
    bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=image, version=description["Id"], bom_ref=image
    )
    bom.register_dependency(bom.metadata.component, components.values())
    return bom


def _components(files: dict[str, bytes]) -> Iterator[Component]:
    """Debian's packages, Python's, and Java runtimes."""
    release = next((content for path, content in files.items() if path.endswith("os-release")), b"")
    system = dict(re.findall(r'^(\w+)="?([^"\n]*)', release.decode(errors="replace"), re.M))
    for path, content in files.items():
        text = content.decode(errors="replace")
        if path == STATUS:
            yield from _debian(text, system)
        elif path.endswith(METADATA):
            fields = email.parser.Parser().parsestr(text, headersonly=True)
            name = re.sub(r"[-_.]+", "-", fields["Name"]).lower()
            yield _component(
                PackageURL("pypi", None, name, fields["Version"]),
                fields["License-Expression"] or fields["License"],
            )
        elif path.endswith(RELEASE) and (
            version := re.search(r'^JAVA_VERSION="([^"]+)"', text, re.M)
        ):
            yield _component(PackageURL("generic", None, "openjdk", version[1]), None)


def _debian(status: str, system: dict[str, str]) -> Iterator[Component]:
    for paragraph in status.split("\n\n"):
        fields = email.parser.Parser().parsestr(paragraph, headersonly=True)
        if fields["Package"] and "installed" in (fields["Status"] or "").split():
            release = {
                "arch": fields["Architecture"],
                **(
                    {"distro": f"{system['ID']}-{system['VERSION_ID']}"}
                    if "VERSION_ID" in system
                    else {}
                ),
            }
            yield _component(
                PackageURL(
                    "deb", system.get("ID", "debian"), fields["Package"], fields["Version"], release
                ),
                None,
            )


def _component(url: PackageURL, licence: str | None) -> Component:
    short = (licence or "").strip()
    licences = (
        [LicenseFactory().make_from_string(short)]
        if short and len(short) <= LICENCE_LENGTH and "\n" not in short and short != "UNKNOWN"
        else []
    )
    return Component(
        type=ComponentType.LIBRARY,
        name=url.name,
        version=url.version,
        purl=url,
        bom_ref=url.to_string(),
        licenses=licences,
    )


if __name__ == "__main__":
    sys.exit(main())
