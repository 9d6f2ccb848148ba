"""Whether the lock is closed: what a locked package needs, on any Python and system that Easel supports, is locked too.

Installing never resolves (`pip install --no-deps`), so a package that the lock forgets is not there at all. Nothing in
here asks a package index: locked.json says what the locked files need. `make lock` writes it, and
tests/test_lock.py reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypedDict

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

HERE = Path(__file__).parent
RECORD = HERE / "locked.json"
#: What is installed together: the runtime alone, and everything.
SETS: tuple[tuple[str, ...], ...] = (("runtime",), ("runtime", "dev"))


@dataclass(frozen=True, slots=True)
class Platform:
    """A system as markers and file names call it. `tags` are those of the oldest release that the lock must do for."""

    name: str
    sys_platform: str
    machine: str
    tags: tuple[str, ...]


def _glibc(machine: str) -> tuple[str, ...]:
    """Every glibc up to 2.28, that of Debian 10 and RHEL 8, under its new name and its old one."""
    old = {"manylinux2014": 17} | ({"manylinux2010": 12, "manylinux1": 5} if machine == "x86_64" else {})
    return (
        *(f"manylinux_2_{minor}_{machine}" for minor in range(28, min(old.values()) - 1, -1)),
        *(f"{name}_{machine}" for name in old),
        f"linux_{machine}",
    )


PLATFORMS = (
    Platform("Linux x86-64", "linux", "x86_64", _glibc("x86_64")),
    Platform("Linux aarch64", "linux", "aarch64", _glibc("aarch64")),
    Platform("macOS arm64", "darwin", "arm64", tuple(mac_platforms((11, 0), "arm64"))),
    Platform("macOS x86-64", "darwin", "x86_64", tuple(mac_platforms((11, 0), "x86_64"))),
)


@dataclass(frozen=True)
class Environment:
    """One CPython on one system."""

    minor: int
    #: Markers may ask for the third number as well, so the first and a late release of each Python are looked at.
    patch: int
    platform: Platform

    def __str__(self) -> str:
        return f"CPython 3.{self.minor} on {self.platform.name}"

    @cached_property
    def markers(self) -> dict[str, str]:
        """What markers are told."""
        linux = self.platform.sys_platform == "linux"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"3.{self.minor}.{self.patch}",
            "os_name": "posix",
            "platform_machine": self.platform.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "6.1.0" if linux else "23.0.0",
            "platform_system": "Linux" if linux else "Darwin",
            "platform_version": "#1 SMP" if linux else "Darwin Kernel Version 23.0.0",
            "python_full_version": f"3.{self.minor}.{self.patch}",
            "python_version": f"3.{self.minor}",
            "sys_platform": self.platform.sys_platform,
        }

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """The tags of the wheels that pip takes here."""
        python, interpreter = (3, self.minor), f"cp3{self.minor}"
        return frozenset(
            (
                *cpython_tags(python, [interpreter], self.platform.tags),
                *compatible_tags(python, interpreter, self.platform.tags),
            )
        )

    def holds(self, marker: Marker | None, extra: str = "") -> bool:
        """Whether the marker is true here."""
        return marker is None or marker.evaluate({**self.markers, "extra": extra})


ENVIRONMENTS: tuple[Environment, ...] = tuple(
    Environment(minor, patch, platform) for minor in (11, 12, 13, 14) for platform in PLATFORMS for patch in (0, 99)
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One package of a lock."""

    name: NormalizedName
    version: Version
    marker: Marker | None
    hashes: frozenset[str]
    extras: frozenset[str] = frozenset()


class Described(TypedDict):
    """What some files of a release say of themselves, all of them the same. `files` are names and SHA-256."""

    requires_python: str
    requires_dist: list[str]
    provides_extra: list[str]
    files: dict[str, str]


class Release(TypedDict):
    """What is known of a locked release."""

    version: str
    described: list[Described]


#: locked.json: package name → what its locked files say.
Record = Mapping[str, Release]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about the lock that is not right, and where."""

    sentence: str
    environment: Environment | None = None
    #: The requirement that nothing in the lock answers, if it is that, and who has it.
    missing: Requirement | None = None
    needed_by: str = ""


def read_lock(text: str) -> dict[NormalizedName, Pin]:
    """The pins of a requirements/*.txt."""
    pins: dict[NormalizedName, Pin] = {}
    for line in re.sub(r"\\\n", " ", text).splitlines():
        stated = line.split("#", 1)[0].strip()
        if not stated:
            continue
        words, *hashes = re.split(r"\s+--hash=sha256:", stated)
        requirement = Requirement(words)
        name = canonicalize_name(requirement.name)
        (specifier,) = requirement.specifier
        if specifier.operator != "==" or name in pins or not hashes:
            raise ValueError(f"not one hashed pin of {name}: {words}")
        pins[name] = Pin(name, Version(specifier.version), requirement.marker, frozenset(hashes), _extras(requirement))
    return pins


def read_wanted(text: str) -> list[Requirement]:
    """What a requirements/*.in asks for."""
    lines = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def read_record(text: str) -> Record:
    """locked.json."""
    record: dict[str, Release] = json.loads(text)
    return record


def written(record: Record) -> str:
    """locked.json's text: sorted, so that it changes only where the lock does."""
    return json.dumps(record, indent=1, sort_keys=True) + "\n"


def together(locks: Iterable[Mapping[NormalizedName, Pin]]) -> dict[NormalizedName, Pin]:
    """The pins of several locks that are installed into one environment; they must not contradict each other."""
    pins: dict[NormalizedName, Pin] = {}
    for lock in locks:
        for name, pin in lock.items():
            before = pins.setdefault(name, pin)
            if (before.version, before.hashes) != (pin.version, pin.hashes):
                raise ValueError(f"{name} is locked twice, and not alike")
            if before.marker is not None and pin.marker is None:
                pins[name] = pin
    return pins


def disagreements(pins: Mapping[NormalizedName, Pin], record: Record) -> list[str]:
    """Where the lock and locked.json are not about the same packages, versions and files."""
    found = [f"{name} is locked, and locked.json does not know it" for name in sorted(set(pins) - set(record))]
    found += [f"locked.json knows {name}, which is not locked" for name in sorted(set(record) - set(pins))]
    for name, pin in sorted(pins.items()):
        if name not in record:
            continue
        known = record[name]
        if Version(known["version"]) != pin.version:
            found.append(f"{name} is locked as {pin.version}, and locked.json is about {known['version']}")
        hashes = [one for described in known["described"] for one in described["files"].values()]
        if frozenset(hashes) != pin.hashes or len(hashes) != len(pin.hashes):
            found.append(f"{name}'s files have other hashes in the lock than in locked.json")
    return found


def usable(release: Release, environment: Environment) -> list[Described]:
    """What the files say that pip might take here: any wheel that fits, or else the source.

    The source of an old project does not name what it needs; the wheels that are built from it do, so all are heard.
    """
    fits = [
        one
        for one in release["described"]
        if SpecifierSet(one["requires_python"]).contains(environment.markers["python_full_version"], prereleases=True)
    ]
    wheels = [one for one in fits if any(_fits(file, environment) for file in one["files"])]
    if wheels:
        return wheels
    return fits if any(not file.endswith(".whl") for one in fits for file in one["files"]) else []


def from_source(pins: Mapping[NormalizedName, Pin], record: Record) -> dict[str, list[Environment]]:
    """Which packages pip has to build, and where, because their release has no wheel for it."""
    return {
        name: where
        for name, pin in sorted(pins.items())
        if (
            where := [
                environment
                for environment in ENVIRONMENTS
                if environment.holds(pin.marker)
                and (heard := usable(record[name], environment))
                and not any(_fits(file, environment) for one in heard for file in one["files"])
            ]
        )
    }


def faults(
    wanted: Sequence[Requirement],
    pins: Mapping[NormalizedName, Pin],
    record: Record,
    environments: Iterable[Environment] = ENVIRONMENTS,
) -> list[Fault]:
    """Why the lock is not closed; nothing, if it is. `wanted` is what the *.in files ask for."""
    found: list[Fault] = []
    needed: set[NormalizedName] = set()
    for environment in environments:
        walk = _Walk(environment, pins, record)
        found += walk.faults(wanted)
        needed |= walk.needed
    found += [Fault(f"nothing needs {name}") for name in sorted(set(pins) - needed)]
    return found


def needed_in(
    wanted: Sequence[Requirement], pins: Mapping[NormalizedName, Pin], record: Record
) -> dict[NormalizedName, list[Environment]]:
    """Where each package is needed."""
    where: dict[NormalizedName, list[Environment]] = {}
    for environment, walk in _walked(wanted, pins, record):
        for name in walk.needed:
            where.setdefault(name, []).append(environment)
    return where


def extras_in(
    wanted: Sequence[Requirement], pins: Mapping[NormalizedName, Pin], record: Record
) -> dict[NormalizedName, frozenset[str]]:
    """The extras that others ask of each package, in any environment."""
    asked: dict[NormalizedName, set[str]] = {}
    for _, walk in _walked(wanted, pins, record):
        for name, extra in walk.seen:
            if extra:
                asked.setdefault(name, set()).add(extra)
    return {name: frozenset(extras) for name, extras in asked.items()}


def sentences(found: Iterable[Fault]) -> list[str]:
    """The faults for a person: each once, with all the environments that it concerns."""
    places: dict[str, dict[str, None]] = {}
    for fault in found:
        where = places.setdefault(fault.sentence, {})
        if fault.environment is not None:
            where[str(fault.environment)] = None
    return [f"{sentence} ({', '.join(where)})" if where else sentence for sentence, where in places.items()]


def wrong(folder: Path = HERE) -> list[str]:
    """All that is wrong with the lock in this folder, in sentences."""
    record = read_record((folder / RECORD.name).read_text("utf-8"))
    locks = {name: read_lock((folder / f"{name}.txt").read_text("utf-8")) for name in SETS[-1]}
    found = disagreements(together(locks.values()), record)
    for names in SETS:
        wanted = [one for name in names for one in read_wanted((folder / f"{name}.in").read_text("utf-8"))]
        found += sentences(faults(wanted, together(locks[name] for name in names), record))
    return list(dict.fromkeys(found))


class _Walk:
    """From what is wanted to all that it needs, in one environment."""

    def __init__(self, environment: Environment, pins: Mapping[NormalizedName, Pin], record: Record) -> None:
        self._here = environment
        self._pins = {name: pin for name, pin in pins.items() if environment.holds(pin.marker)}
        self._record = record
        self.seen: set[tuple[NormalizedName, str]] = set()
        self.needed: set[NormalizedName] = set()

    def faults(self, wanted: Sequence[Requirement]) -> Iterator[Fault]:
        """What is missing. Packages that nothing needs here are installed all the same, so they are asked as well."""
        for requirement in wanted:
            if self._here.holds(requirement.marker):
                yield from self._met(requirement, "Easel")
        self.needed = {name for name, _ in self.seen}
        for name in self._pins:
            yield from self._asked(name, "")

    def _met(self, requirement: Requirement, by: str) -> Iterator[Fault]:
        name = canonicalize_name(requirement.name)
        stated = f"{by} needs {str(requirement).split(';', 1)[0].strip()}"
        pin = self._pins.get(name)
        if pin is None:
            yield Fault(f"{stated}, which is not locked", self._here, requirement, by)
            return
        if requirement.url is not None or not requirement.specifier.contains(pin.version, prereleases=True):
            yield Fault(f"{stated}, and {pin.version} is locked", self._here)
        if not _extras(requirement) <= pin.extras:
            # A pip that resolves after all passes such a pin over for a newer release, which has no hash here.
            yield Fault(f"{stated}, and it is locked without naming that extra", self._here)
        for extra in ("", *requirement.extras):
            yield from self._asked(name, str(canonicalize_name(extra)) if extra else "", by)

    def _asked(self, name: NormalizedName, extra: str, by: str = "") -> Iterator[Fault]:
        if (name, extra) in self.seen:
            return
        self.seen.add((name, extra))
        release = self._record.get(name)
        heard = usable(release, self._here) if release else []
        if not heard:
            yield Fault(f"{name} {self._pins[name].version} has no locked file that fits", self._here)
        for one in heard:
            if extra and extra not in {str(canonicalize_name(offered)) for offered in one["provides_extra"]}:
                yield Fault(f"{by} needs {name}[{extra}], and there is no such extra", self._here)
            for text in one["requires_dist"]:
                requirement = _requirement(text)
                if self._here.holds(requirement.marker, extra):
                    yield from self._met(requirement, f"{name}[{extra}]" if extra else name)


def _extras(requirement: Requirement) -> frozenset[str]:
    return frozenset(str(canonicalize_name(extra)) for extra in requirement.extras)


def _walked(
    wanted: Sequence[Requirement], pins: Mapping[NormalizedName, Pin], record: Record
) -> Iterator[tuple[Environment, _Walk]]:
    """A finished walk in each environment, whatever it found missing."""
    for environment in ENVIRONMENTS:
        walk = _Walk(environment, pins, record)
        for _ in walk.faults(wanted):
            pass
        yield environment, walk


def _fits(file: str, environment: Environment) -> bool:
    return file.endswith(".whl") and not _tags(file).isdisjoint(environment.tags)


# The same words come back in every environment.


@cache
def _tags(wheel: str) -> frozenset[Tag]:
    return parse_wheel_filename(wheel)[3]


@cache
def _requirement(text: str) -> Requirement:
    return Requirement(text)
