"""Draws a machine of many cores: the files of Linux's /sys/devices/system/cpu, to be mounted there.

Programs that count cores, such as os.cpu_count, read them. How many cores a program may use is
another matter, which sched_getaffinity and cgroups say.
"""

from pathlib import Path

PLACE = "/sys/devices/system/cpu"
# of each core: level, type and size of a cache; the last one is the package's
CACHES = ((1, "Data", "32K"), (1, "Instruction", "32K"), (2, "Unified", "1024K"))
SHARED_CACHE = (3, "Unified", "32768K")
WORD_BITS = 32  # a mask of cores is written in words of so many bits, with commas between


def draw_cores(folder: Path, count: int) -> Path:
    """The folder, with the files of so many cores of one package, one thread each."""
    everyone = f"0-{count - 1}"
    everyone_mask = _mask((1 << count) - 1, count)
    for name in ("online", "possible", "present"):
        _write(folder / name, everyone)
    for number in range(count):
        own = (str(number), _mask(1 << number, count))
        core = folder / f"cpu{number}"
        _write(core / "online", "1")
        topology = {"core_id": str(number), "physical_package_id": "0", "die_id": "0"}
        for name in ("thread_siblings", "core_cpus"):
            topology |= {f"{name}_list": own[0], name: own[1]}
        for name in ("core_siblings", "package_cpus", "die_cpus"):
            topology |= {f"{name}_list": everyone, name: everyone_mask}
        for name, text in topology.items():
            _write(core / "topology" / name, text)
        for index, cache in enumerate((*CACHES, SHARED_CACHE)):
            sharing = (everyone, everyone_mask) if cache == SHARED_CACHE else own
            texts = (str(cache[0]), cache[1], cache[2], *sharing)
            names = ("level", "type", "size", "shared_cpu_list", "shared_cpu_map")
            for name, text in zip(names, texts, strict=True):
                _write(core / "cache" / f"index{index}" / name, text)
    return folder


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n", encoding="utf-8")


def _mask(bits: int, count: int) -> str:
    """A mask in hexadecimal, as Linux writes it: the highest word first."""
    words = []
    for start in range(0, count, WORD_BITS):
        words.append(f"{(bits >> start) & ((1 << WORD_BITS) - 1):08x}")
    return ",".join(reversed(words))
