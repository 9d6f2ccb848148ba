"""Writes requirements/*.txt and locked.json anew from *.in: `make lock`, or `make lock ARGS=--upgrade` for the newest.

pip-compile chooses the versions, but only for the Python and the system that it runs on. What the other environments of
closure.py need on top is added here, with a marker. Nothing is written unless the lock is closed then.
"""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from requirements import closure
from requirements.closure import Described, Environment, Fault, Pin, Record, Release

if TYPE_CHECKING:
    from pip._internal.models.link import Link

COMPILE = (
    *("--quiet", "--generate-hashes", "--strip-extras", "--allow-unsafe", "--no-header", "--no-emit-index-url"),
    *("--no-emit-trusted-host", "--no-emit-find-links", "--no-emit-options"),
)
#: Files of one release that are read at the same time.
READERS = 8


@dataclass(frozen=True, slots=True)
class File:
    """A file of a release as the index lists it."""

    name: str
    version: Version
    sha256: str
    #: Its METADATA or PKG-INFO.
    read: Callable[[], bytes]


class Index:
    """The package index that pip is configured for, asked in pip's own way through pip-tools."""

    def __init__(self, folder: Path) -> None:
        from piptools.repositories import PyPIRepository

        self._index = PyPIRepository(["-qq"], cache_dir=str(folder))
        # Files for other Pythons than this one are wanted as well.
        self._index._finder = self._index.command._build_package_finder(
            options=self._index.options, session=self._index.session, ignore_requires_python=True
        )

    def files(self, name: str) -> list[File]:
        """All files of all releases that are not withdrawn, each once."""
        with self._index.allow_all_wheels():
            links = [(one.version, one.link) for one in self._index.find_all_candidates(name)]
        return [
            File(
                name=link.filename,
                version=Version(str(version)),
                sha256=link.hash if link.hash_name == "sha256" and link.hash else self._sha256(link),
                read=lambda link=link: self._metadata(link),  # type: ignore[misc]
            )
            for version, link in {(link.filename, link.hash): (version, link) for version, link in links}.values()
            if not link.is_yanked
        ]

    def _sha256(self, link: Link) -> str:
        return hashlib.sha256(self._whole(link)).hexdigest()

    def _whole(self, link: Link) -> bytes:
        if link.is_file:
            return Path(link.file_path).read_bytes()
        answer = self._index.session.get(link.url_without_fragment, headers={"Accept-Encoding": "identity"})
        answer.raise_for_status()
        content: bytes = answer.content
        if link.hash_name == "sha256" and hashlib.sha256(content).hexdigest() != link.hash:
            raise ValueError(f"{link.filename} is not what the index says")
        return content

    def _metadata(self, link: Link) -> bytes:
        """As little of the file as the index lets us read."""
        from pip._internal.network.lazy_wheel import HTTPRangeRequestUnsupported, LazyZipOverHTTP

        beside = link.metadata_link()
        if beside is not None:
            return self._whole(beside)
        if link.is_wheel and not link.is_file:
            try:
                with LazyZipOverHTTP(link.url_without_fragment, self._index.session) as wheel:
                    return _from_wheel(wheel)
            except HTTPRangeRequestUnsupported:
                pass
        content = io.BytesIO(self._whole(link))
        if link.is_wheel:
            return _from_wheel(content)
        return _from_zip(content) if link.filename.endswith(".zip") else _from_tar(content)


def _from_wheel(wheel: object) -> bytes:
    with zipfile.ZipFile(wheel) as opened:  # type: ignore[call-overload]
        return _only(opened.read, (one for one in opened.namelist() if one.endswith(".dist-info/METADATA")))


def _from_zip(source: io.BytesIO) -> bytes:
    with zipfile.ZipFile(source) as opened:
        return _only(opened.read, opened.namelist())


def _from_tar(source: io.BytesIO) -> bytes:
    with tarfile.open(fileobj=source) as opened:

        def read(name: str) -> bytes:
            content = opened.extractfile(name)
            return content.read() if content else b""

        return _only(read, opened.getnames())


def _only(read: Callable[[str], bytes], names: Iterable[str]) -> bytes:
    """The one file among those of the archive that describes it: `METADATA`, or `PKG-INFO` right below the top."""
    (name,) = {one for one in names if one.count("/") == 1 and one.rsplit("/")[-1] in {"METADATA", "PKG-INFO"}}
    return read(name)


def described(metadata: bytes, files: dict[str, str]) -> Described:
    """What METADATA or PKG-INFO says that matters for installing."""
    message = message_from_bytes(metadata)
    return Described(
        requires_python=str(message.get("Requires-Python", "")).strip(),
        requires_dist=[" ".join(str(one).split()) for one in message.get_all("Requires-Dist", [])],
        provides_extra=[str(one) for one in message.get_all("Provides-Extra", [])],
        files=files,
    )


class Records:
    """What is known of releases; whatever was not read before is read from the index."""

    def __init__(self, index: Index, before: Record) -> None:
        self._index = index
        self._before = {
            (file, digest): one
            for release in before.values()
            for one in release["described"]
            for file, digest in one["files"].items()
        }
        self._files: dict[str, list[File]] = {}
        self._releases: dict[tuple[str, Version], Release] = {}

    def files(self, name: str) -> list[File]:
        """All files of all releases."""
        if name not in self._files:
            self._files[name] = self._index.files(name)
        return self._files[name]

    def of(self, pins: Mapping[NormalizedName, Pin]) -> Record:
        """What all locked files say."""
        return {name: self._release(name, pin.version, pin.hashes) for name, pin in pins.items()}

    def hashes(self, name: str, version: Version) -> frozenset[str]:
        """Those of all files of a release."""
        return frozenset(file.sha256 for file in self.files(name) if file.version == version)

    def newest(self, name: str, wanted: SpecifierSet, environments: Iterable[Environment]) -> Version:
        """The newest release that is wanted and that pip can install in all these environments."""
        versions = {file.version for file in self.files(name)}
        for version in sorted(wanted.filter(versions), reverse=True):
            release = self._release(name, version, self.hashes(name, version))
            if all(closure.usable(release, environment) for environment in environments):
                return version
        raise SystemExit(f"No release of {name} is {wanted or 'there'} and fits everywhere where it is needed.")

    def _release(self, name: str, version: Version, hashes: frozenset[str]) -> Release:
        if (name, version) not in self._releases:
            files = [file for file in self.files(name) if file.version == version and file.sha256 in hashes]
            with ThreadPoolExecutor(READERS) as readers:
                self._releases[name, version] = Release(
                    version=str(version), described=_alike(readers.map(self._described, files))
                )
        return self._releases[name, version]

    def _described(self, file: File) -> Described:
        files = {file.name: file.sha256}
        known = self._before.get((file.name, file.sha256))
        return Described(**{**known, "files": files}) if known else described(file.read(), files)


def _alike(found: Iterable[Described]) -> list[Described]:
    """The files grouped by what they say."""
    groups: dict[str, Described] = {}
    for one in found:
        said = repr((one["requires_python"], one["requires_dist"], one["provides_extra"]))
        groups.setdefault(said, Described(**{**one, "files": {}}))["files"].update(one["files"])
    return [groups[said] for said in sorted(groups)]


def marker_for(environments: Iterable[Environment]) -> Marker | None:
    """A marker that is true in all these environments, and in few others; none if that is everywhere."""
    here = list(environments)
    minors = sorted({one.minor for one in here})
    known = sorted({one.minor for one in closure.ENVIRONMENTS})
    parts = []
    if minors[0] > known[0]:
        parts.append(f'python_version >= "3.{minors[0]}"')
    if minors[-1] < known[-1]:
        parts.append(f'python_version < "3.{minors[-1] + 1}"')
    for name in ("sys_platform", "platform_machine"):
        values = {one.markers[name] for one in here}
        if values != {one.markers[name] for one in closure.ENVIRONMENTS}:
            stated = " or ".join(f'{name} == "{value}"' for value in sorted(values))
            parts.append(f"({stated})" if len(values) > 1 else stated)
    return Marker(" and ".join(parts)) if parts else None


def line_of(pin: Pin, needed_by: Iterable[str]) -> str:
    """A pin as pip-compile would write it."""
    marker = f" ; {pin.marker}" if pin.marker else ""
    hashes = "".join(f" \\\n    --hash=sha256:{one}" for one in sorted(pin.hashes))
    return f"{pin.name}=={pin.version}{marker}{hashes}\n    # via {', '.join(sorted(set(needed_by)))}\n"


def completed(
    compiled: Mapping[NormalizedName, Pin],
    wanted: list[Requirement],
    before: Mapping[NormalizedName, Pin],
    records: Records,
) -> dict[NormalizedName, tuple[Pin, set[str]]]:
    """What other Pythons and systems need on top of what was compiled, and what needs it."""
    added: dict[NormalizedName, tuple[Pin, set[str]]] = {}
    gaps: dict[NormalizedName, list[Fault]] = {}
    while True:
        pins = {**compiled, **{name: pin for name, (pin, _) in added.items()}}
        fresh = [one for one in closure.faults(wanted, pins, records.of(pins)) if one.missing is not None]
        fresh = [one for one in fresh if one.missing and canonicalize_name(one.missing.name) not in compiled]
        if not fresh:
            return added
        for fault in fresh:
            if fault.missing is not None:
                gaps.setdefault(canonicalize_name(fault.missing.name), []).append(fault)
        for name, why in gaps.items():
            specifier = SpecifierSet(",".join(str(one.missing.specifier) for one in why if one.missing))
            where = [one.environment for one in why if one.environment]
            kept = before.get(name)
            if kept and records.hashes(name, kept.version) and specifier.contains(kept.version, prereleases=True):
                version = kept.version
            else:
                version = records.newest(name, specifier, where)
            pin = Pin(name, version, marker_for(where), records.hashes(name, version))
            added[name] = (pin, {one.needed_by for one in why})


def narrowed(text: str, where: Mapping[NormalizedName, list[Environment]]) -> str:
    """The compiled lock with a marker at what only some environments need; pip-compile knows no other than its own."""
    for name, pin in closure.read_lock(text).items():
        marker = marker_for(where[name]) if name in where and pin.marker is None else None
        if marker is not None:
            stated = f"{name}=={pin.version}"
            text = re.sub(rf"^{re.escape(stated)} ", f"{stated} ; {marker} ", text, flags=re.MULTILINE)
    return text


def naming_extras(text: str, extras: Mapping[NormalizedName, frozenset[str]]) -> str:
    """The lock with every pin named together with the extras that others ask of it."""
    for name, pin in closure.read_lock(text).items():
        if name in extras:
            stated = f"{name}=={pin.version}"
            named = f"{name}[{','.join(sorted(extras[name]))}]=={pin.version}"
            text = re.sub(rf"^{re.escape(stated)}(?= )", named, text, flags=re.MULTILINE)
    return text


def without_extras(text: str) -> str:
    """The lock as pip-compile reads it: a constraint may not name extras."""
    return re.sub(r"^([\w.-]+)\[[^\]]+\]==", r"\1==", text, flags=re.MULTILINE)


def compiled(folder: Path, name: str, arguments: list[str]) -> dict[NormalizedName, Pin]:
    """What pip-compile makes of the .in in that folder."""
    tool = Path(sys.executable).with_name("pip-compile")
    output = folder / f"{name}.txt"
    subprocess.run([tool, *COMPILE, "--output-file", output.name, *arguments, f"{name}.in"], cwd=folder, check=True)  # noqa: S603
    return closure.read_lock(output.read_text("utf-8"))


def lock(folder: Path, arguments: list[str]) -> list[str]:
    """Write *.txt and locked.json in that folder anew from the *.in in it. Returns what is wrong with them."""
    record = folder / closure.RECORD.name
    records = Records(
        Index(folder / "cache"), closure.read_record(record.read_text("utf-8")) if record.exists() else {}
    )
    wanted: list[Requirement] = []
    locks: dict[str, dict[NormalizedName, Pin]] = {}
    for name in closure.SETS[-1]:
        wanted += closure.read_wanted((folder / f"{name}.in").read_text("utf-8"))
        text = folder / f"{name}.txt"
        before: dict[NormalizedName, Pin] = {}
        if text.exists():
            text.write_text(without_extras(text.read_text("utf-8")), "utf-8")
            before = closure.read_lock(text.read_text("utf-8"))
        locks[name] = compiled(folder, name, arguments)
        pins = closure.together(locks.values())
        added = completed(pins, wanted, {} if "--upgrade" in arguments else before, records)
        pins |= {one: pin for one, (pin, _) in added.items()}
        where = closure.needed_in(wanted, pins, records.of(pins))
        lines = (line_of(*added[one]) for one in sorted(added))
        text.write_text("".join((narrowed(text.read_text("utf-8"), where), *lines)), "utf-8")
        locks[name] = closure.read_lock(text.read_text("utf-8"))
    everything = closure.together(locks.values())
    found = records.of(everything)
    extras = closure.extras_in(wanted, everything, found)
    for name in locks:
        text = folder / f"{name}.txt"
        text.write_text(naming_extras(text.read_text("utf-8"), extras), "utf-8")
    record.write_text(closure.written(found), "utf-8")
    for name, built in closure.from_source(everything, found).items():
        places = ", ".join(dict.fromkeys(map(str, built)))
        print(f"{name} has no wheel, and is built from its source, on: {places}")  # noqa: T201
    return closure.wrong(folder)


def main() -> None:
    """Lock in a folder of its own, and keep the outcome only if it is closed."""
    with TemporaryDirectory() as made:
        folder = Path(made)
        for file in (*closure.HERE.glob("*.in"), *closure.HERE.glob("*.txt"), closure.RECORD):
            if file.exists():
                shutil.copy(file, folder)
        wrong = lock(folder, sys.argv[1:])
        if wrong:
            raise SystemExit("\n  ".join(("This lock is not closed, so it was not written:", *wrong)))
        for file in (*folder.glob("*.txt"), folder / closure.RECORD.name):
            shutil.copy(file, closure.HERE)


if __name__ == "__main__":
    main()
