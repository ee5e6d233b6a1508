"""See tests/bench/slow/run."""

import sys
import time

import slow
from proc import Process
from system import System

BOUND = 1.10


def main(count=10000, rounds=7):
    with System() as system:
        row = min(system.processes("intake"), key=lambda one: one["name"])
        intake = Process(row["pid"])
        alone_kib = intake.memory_kib()
        seen = []

        def look():
            before, at = intake.processor_s(), time.monotonic()
            time.sleep(2)
            seen.append(((intake.processor_s() - before) / (time.monotonic() - at),
                         (intake.memory_kib() - alone_kib) / count))

        cost = slow.measure(row["port"], system.default.key, count, rounds, 4000, look)

    print(f"{count} slow connections, {rounds} rounds of 4000 good requests, µs (range of rounds)")
    for part in (0.5, 0.9, 0.99):
        print(f"p{part * 100:g}: without {cost.median('without', part):.0f}"
              f" ({cost.span('without', part)}), with {cost.median('with', part):.0f}"
              f" ({cost.span('with', part)}), ratio {cost.ratio(part):.2f}")
    busy = sorted(one[0] for one in seen)[len(seen) // 2]
    memory = max(one[1] for one in seen)
    print(f"beside the good client: {busy * 100:.1f} % of a core, {memory:.1f} KiB a connection")
    kept = cost.ratio(0.99) <= BOUND
    print(f"p99 + {(cost.ratio(0.99) - 1) * 100:.0f} %, bound + 10 %: {'kept' if kept else 'missed'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:])))
