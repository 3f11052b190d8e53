"""What a message costs, against autogen-core 0.7.5 and against a bare asyncio queue, as ratios within one run.

``.venv/bin/python -m benchmarks.messaging [--rounds 7]``. Every measurement is taken in each library in turn, in
processes of one environment (``autogen.py``), so that a noisy neighbour is in all of them; the median round is shown.
"""

import argparse
import os
import statistics
import subprocess
from pathlib import Path

from benchmarks.autogen import ROOT, environment

SCENARIOS = {
    "in sequence": 2000,
    "1,000 at once": 2000,
    "publish to 1": 2000,
    "publish to 10": 4000,
    "publish to 100": 4000,
}
"""Each with how many deliveries a measurement takes."""
OURS, THEIRS = "multi_actor.messaging", "autogen_core"


class Library:
    """One library under load, in a process of its own."""

    def __init__(self, python: Path, *arguments: str) -> None:
        program = [str(python), "benchmarks/messaging_load.py", *arguments]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            program, cwd=ROOT, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def measure(self, scenario: str) -> tuple[float, float]:
        """Return µs per delivery, and µs of CPU."""
        assert self._process.stdin
        assert self._process.stdout
        number = SCENARIOS[scenario]
        self._process.stdin.write(f"{scenario} {number}\n")
        self._process.stdin.flush()
        seconds, cpu = map(float, self._process.stdout.readline().split())
        return seconds / number * 1e6, cpu / number * 1e6

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


def compare(libraries: dict[str, Library], rounds: int) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Return each scenario's measurements of each library, round by round; the first round is not kept."""
    results: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for scenario in SCENARIOS:
        results[scenario] = {name: [] for name in libraries if name != "floor" or "publish" not in scenario}
        for number in range(rounds + 1):
            for name, measured in results[scenario].items():
                measurement = libraries[name].measure(scenario)
                if number:
                    measured.append(measurement)
    return results


def ratio(ones: list[tuple[float, float]], others: list[tuple[float, float]]) -> float:
    """Return the ratio of CPU times, which say more than the clock where others use the machine, too."""
    return statistics.median(one[1] / other[1] for one, other in zip(ones, others, strict=True))


def show(title: str, results: dict[str, dict[str, list[tuple[float, float]]]]) -> None:
    print(f"\n{title}")
    print("                   ours/s  autogen/s  times   CPU µs per delivery   times the floor's")
    for scenario, by_library in results.items():
        ours, theirs = by_library[OURS], by_library[THEIRS]
        rates = [1e6 / statistics.median(each[0] for each in measured) for measured in (ours, theirs)]
        cpu = [statistics.median(each[1] for each in measured) for measured in (ours, theirs)]
        floor = f"{ratio(ours, by_library['floor']):12.1f}" if "floor" in by_library else ""
        print(
            f"{scenario:15} {rates[0]:9,.0f} {rates[1]:10,.0f} {ratio(theirs, ours):6.1f}"
            f" {cpu[0]:10.1f} against {cpu[1]:5.1f} {floor}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    python = environment()
    for title, arguments in (
        ("tracing off", ()),
        ("tracing on (SDK, batches of spans, exported to nowhere)", ("traced",)),
    ):
        libraries = {name: Library(python, name, *arguments) for name in (OURS, THEIRS)}
        if not arguments:
            libraries["floor"] = Library(python, "floor")
        try:
            show(title, compare(libraries, rounds))
        finally:
            for library in libraries.values():
                library.close()


if __name__ == "__main__":
    main()
