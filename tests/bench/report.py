"""What was measured, as results.json (all of it), results.md (the table) and
results.svg (each figure against its target)."""

import html
import json

from system import ROOT

ORDER = ("accept-64", "accept-1000", "accept-one-core", "dispatch", "recorder", "system", "idle",
         "chat", "kill-program", "kill-server", "takeover", "inflight", "memory-idle",
         "memory-growth", "stop")


def folder(quick):
    return ROOT / ("build/bench" if quick else "tests/bench")


def name_of(quick):
    return "quick" if quick else "results"


def read(quick):
    path = folder(quick) / f"{name_of(quick)}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def keep(lines, quick):
    """Replace what was known of these rows."""
    folder(quick).mkdir(parents=True, exist_ok=True)
    known = read(quick)
    known.update({line["name"]: line for line in lines})
    (folder(quick) / f"{name_of(quick)}.json").write_text(
        json.dumps(known, indent=1, ensure_ascii=False) + "\n")


def number(value):
    if value is None:
        return "-"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 1 or size == 0 else f"{value:.3f}"


def spread(series):
    """Median (minimum–maximum)."""
    if not isinstance(series, dict):
        return number(series) if isinstance(series, (int, float)) else str(series)
    if series["min"] == series["max"]:
        return number(series["median"])
    return f"{number(series['median'])} ({number(series['min'])}–{number(series['max'])})"


def plain(line):
    return (f"{line['name']}: {spread(line['value'])}"
            + (f", ratio {spread(line['ratio'])}" if line["ratio"] else "")
            + f", target {line['target']}: {'met' if line['met'] else 'MISSED'}")


def ordered(known):
    return sorted(known.values(), key=lambda line: (
        ORDER.index(line["name"]) if line["name"] in ORDER else len(ORDER), line["name"]))


# ---- the page ---------------------------------------------------------------

HEAD = """# What one core does

Written by `make bench`; do not edit. Each row has its own command, `make bench ROW=...`; without `ROW` all run.

Core 0 carries what is measured, core 1 the load, the stub provider and the servers that a row does not count. Figures are
medians of interleaved rounds with (minimum–maximum). CPU seconds are those of all threads of the measured program over the very
window. A ratio compares with the reference of the same round. 2 KB bodies, each with other words, of 64 organizations; one
`kafka.linger_ms`, the default, for all rows. p99 at low load is the machine's own noise, so it stands beside nginx's and nothing is claimed from it. `others` is
the largest share of core 0 that processes of somebody else took in any round: above 0.05 a row should be measured again. The
broker is one that runs for long (`kafka.java_options: -XX:TieredStopAtLevel=4 -Xmx512m`) and is warm; in the rows idle and chat the
servers are on core 1, beside the load. In the rows kill and takeover nothing keeps to a core, and the broker is as `synq up` starts it.

![each figure against its target](results.svg)
"""


def write(quick):
    known = ordered(read(quick))
    if not known:
        return
    text = [HEAD.replace("results.svg", f"{name_of(quick)}.svg"),
            "\n| row | what | target | the bar | measured | ratio | | others | command |\n",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"]
    for line in known:
        text.append("| " + " | ".join((
            line["name"], line["what"], line["target"], line["bar"], spread(line["value"]),
            spread(line["ratio"]) if line["ratio"] else "-",
            "met" if line["met"] else "**missed**", number(line["others"]),
            f"`make bench ROW={line['row']}`")) + " |\n")
    text.append("\n## Beside each figure\n")
    for line in known:
        short = ", short windows" if line["quick"] else ""
        text.append(f"\n**{line['name']}**, {line['rounds']} rounds{short}: ")
        beside = list(line["note"])
        if line["reference"]:
            beside.insert(0, line["reference"])
        text.append("; ".join(f"{label} {spread(one)}" for label, one in beside) + ".\n")
    text += conditions_of(known)
    (folder(quick) / f"{name_of(quick)}.md").write_text("".join(text))
    (folder(quick) / f"{name_of(quick)}.svg").write_text(draw(known))


def conditions_of(known):
    """The conditions once for all rows that share them."""
    groups = {}
    for line in known:
        fixed = {key: value for key, value in line["conditions"].items()
                 if key not in ("date", "load before")}
        groups.setdefault(json.dumps(fixed), []).append(line)
    text = ["\n## Conditions\n"]
    for fixed, lines in groups.items():
        text.append("\n" + ", ".join(f"{key} {value}" for key, value in json.loads(fixed).items())
                    + ". Rows, with when they were measured (UTC) and the load average before:\n"
                    + ", ".join(f"{line['name']} ({line['conditions']['date']}, "
                                f"{line['conditions']['load before']})" for line in lines) + ".\n")
    return text


# ---- the picture -------------------------------------------------------------

WIDTH, LEFT, RIGHT, STEP, TOP = 980, 170, 250, 34, 96


def target_of(line):
    """The target as a number, and whether more is better."""
    text = line["target"].replace(",", "")
    digits = text[1:].split()[0].split("/")[0]
    return float(digits), text[0] == "≥"


def draw(known):
    """A bar for each row, drawn as a multiple of its target, better to the
    right; the whiskers are minimum and maximum."""
    height = TOP + STEP * len(known) + 50
    span = WIDTH - LEFT - RIGHT
    most = 2.5

    def x(multiple):
        return LEFT + span * min(multiple, most) / most

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
           '<text x="20" y="28" font-size="18" fill="#111">Synq on one core: each figure against '
           'its target</text>',
           '<text x="20" y="48" fill="#555">Length = how many times better than the target '
           '(line at 1). Green: met. Red: missed. Whiskers: minimum and maximum of the rounds. '
           '</text>',
           '<text x="20" y="64" fill="#555">Grey tick: the best peer that was measured on such a '
           'machine, where there is one to compare with. Bars end at 2.5.</text>']
    for mark in (0, 0.5, 1, 1.5, 2, 2.5):
        out.append(f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP - 14}" '
                   f'y2="{height - 40}" stroke="{"#333" if mark == 1 else "#ddd"}"/>'
                   f'<text x="{x(mark):.1f}" y="{height - 24}" text-anchor="middle" '
                   f'fill="#555">{mark:g}</text>')
    for at, line in enumerate(known):
        out += draw_row(line, TOP + STEP * at, x)
    out.append("</svg>\n")
    return "\n".join(out)


# Of those the bar names, the best that can be compared on the same scale.
PEERS = {"accept-one-core": 8224, "dispatch": 3930, "system": 2521, "idle": 1.2}


def draw_row(line, y, x):
    wanted, more = target_of(line)
    series = line["ratio"] or line["value"]

    def multiple(value):
        if value is None:
            return 0
        return value / wanted if more else wanted / max(value, 1e-9)

    colour = "#2e7d32" if line["met"] else "#c62828"
    low, high = sorted((multiple(series["min"]), multiple(series["max"])))
    middle = y + STEP / 2 - 6
    out = [f'<text x="{LEFT - 10}" y="{middle + 4:.1f}" text-anchor="end" fill="#111">'
           f'{html.escape(line["name"])}</text>',
           f'<rect x="{x(0):.1f}" y="{y}" width="{x(multiple(series["median"])) - x(0):.1f}" '
           f'height="{STEP - 14}" fill="{colour}" fill-opacity="0.75"/>',
           f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle:.1f}" y2="{middle:.1f}" '
           f'stroke="#111"/>']
    for end in (low, high):
        out.append(f'<line x1="{x(end):.1f}" x2="{x(end):.1f}" y1="{middle - 4:.1f}" '
                   f'y2="{middle + 4:.1f}" stroke="#111"/>')
    peer = PEERS.get(line["name"])
    if peer is not None:
        out.append(f'<line x1="{x(multiple(peer)):.1f}" x2="{x(multiple(peer)):.1f}" '
                   f'y1="{y - 3}" y2="{y + STEP - 11}" stroke="#777" stroke-width="3"/>')
    out.append(f'<text x="{WIDTH - RIGHT + 12}" y="{middle + 4:.1f}" fill="#111">'
               f'{html.escape(number(series["median"]))} '
               f'<tspan fill="#777">(target {html.escape(line["target"])})</tspan></text>')
    return out
