"""A system under load, a nemesis, and the checker over what they leave.

    chaos.py [--faults N] [--seed S] [--rate R] [--seconds T]

One line per fault, then a summary; the report is build/fault/report-SEED.json.
A run that fails keeps its folder, prints its seed and how to have the same
faults again.
"""

import argparse
import asyncio
import collections
import json
import pathlib
import random
import shutil
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).parent),
                str(pathlib.Path(__file__).parents[1] / "lib")]

from checker import FINAL, History, check  # noqa: E402
from crowd import uuid_of  # noqa: E402
from load import MODELS, Load, digest, probe, read_all, text_of  # noqa: E402
from nemesis import MOST, USUAL, Nemesis, plan  # noqa: E402
from stub import ROOT  # noqa: E402
from system import wait_for  # noqa: E402
from world import World  # noqa: E402

ORGANIZATIONS = 64
PROBES = 8
# Everything that was accepted has ended by then: retries, held attempts.
SETTLE_LIMIT_S = 180
RECOVERY_LIMIT_S = 60
# Models of which jobs must succeed are the stub's; a 429 waits for a second.
SETTINGS = ("job.max_attempts=5",)


class Chaos:
    def __init__(self, faults, seed, rate, seconds=None, tell=print):
        self.faults = faults
        self.seed = seed
        self.rate = rate
        self.seconds = seconds
        self.tell = tell
        self.reasons = []  # why the run has failed
        self.report = {"seed": seed, "faults": faults, "rate": rate}

    def run(self):
        """Whether all went well."""
        began = time.monotonic()
        with World({name: plan for name, (plan, _) in MODELS.items()}, SETTINGS) as world:
            self.world = world
            self._prepare()
            self._spoil(began)
            self._settle()
            self._judge()
            self.report["took_s"] = round(time.monotonic() - began, 1)
            self._save()
            if self.reasons:
                world.failed = True
        return not self.reasons

    def _prepare(self):
        for program in MOST:
            self.world.scale(program, USUAL)
        self.organizations = [
            self.world.organization(f"o{number}") for number in range(ORGANIZATIONS)]
        self.ports = [port for name, port in sorted(self.world.client_ports.items())
                      if int(name.rpartition("-")[2]) <= USUAL]
        self.load = Load(self.ports, self.organizations, self.rate, self.seed)

    def _recovered(self):
        return asyncio.run(probe(self.ports, self.organizations[:PROBES], RECOVERY_LIMIT_S))

    def _spoil(self, began):
        self.load.start()
        self.nemesis = Nemesis(
            self.world, plan(self.seed, self.faults), self._recovered, self.tell,
            None if self.seconds is None else began + self.seconds)
        try:
            # Warm, so that the first fault hits work.
            time.sleep(1)
            self.nemesis.run()
            time.sleep(1)
        except Exception as error:
            self.reasons.append(f"{type(error).__name__}: {error}")
        finally:
            try:
                self.load.stop()
            except Exception as error:
                self.reasons.append(f"load: {error!r}")

    def _settle(self):
        """Wait until PostgreSQL holds the end of all that was accepted."""
        wanted = {submit["job"] for submit in self.load.submits if submit["accepted"]}

        def question():
            with self.world.pg() as pg:
                ended = {row[0] for row in pg.execute(
                    "SELECT id::text FROM operations.job WHERE state = ANY(%s)", [list(FINAL)])}
            return wanted <= ended
        try:
            wait_for("all have ended", SETTLE_LIMIT_S, question, 1)
        except Exception as error:
            self.reasons.append(str(error))

    def _judge(self):
        organizations = {one.name: one for one in self.organizations}
        jobs = {submit["id"]: organizations[submit["organization"]]
                for submit in self.load.submits if submit["accepted"]}
        missing = asyncio.run(read_all(
            self.ports, [(owner, job) for job, owner in jobs.items()], self._note_last))
        if missing:
            self.reasons.append(f"{len(missing)} results cannot be read, such as {missing[:3]}")
        self._look_for_cuts()
        self.history = self._history()
        self.verdict = check(self.history)
        self.reasons += [f"{count} x {name}" for name, count in self.verdict.names().items()]

    def _note_last(self, organization, job_id, answer):
        self.load._note(organization, uuid_of(job_id), answer)

    def _look_for_cuts(self):
        """No fault here takes anything from a log that was written."""
        for log in self.world.logs():
            for line in log.read_text(errors="replace").splitlines():
                if '"event":"partition.log_cut"' in line or '"event":"log.cut"' in line:
                    self.reasons.append(f"{log.name}: {line[:300]}")

    def _history(self):
        with self.world.pg() as pg:
            names = {str(row[0]): row[1] for row in pg.execute(
                "SELECT id, name FROM identity.organization")}

            def rows(query, *columns):
                return [dict(zip(columns, row)) for row in pg.execute(query)]
            jobs = rows("SELECT id::text, organization_id::text, state FROM operations.job",
                        "id", "organization", "state")
            attempts = rows(
                "SELECT id::text, job_id::text, organization_id::text, state, instance "
                "FROM operations.attempt",
                "id", "job", "organization", "state", "instance")
            results = rows(
                "SELECT job_id::text, organization_id::text, answer_status, body "
                "FROM operations.result", "job", "organization", "status", "body")
        for row in results:
            body = bytes(row.pop("body"))
            row["digest"] = digest(row.pop("status"), body)
            row["text"] = text_of(body)
        for row in [*jobs, *attempts, *results]:
            row["organization"] = names[row["organization"]]
        return History(submits=self.load.submits, reads=self.load.reads, calls=self._calls(),
                       log=self.world.log(), attempts=attempts, jobs=jobs, results=results,
                       faults=self.nemesis.record)

    def _calls(self):
        lines = self.world.stub.lines()
        gone = {line["seq"]: line["at_us"] for line in lines if line["event"] == "gone"}
        return [{"job": line["job_id"], "attempt": line["attempt_id"],
                 "start_us": line["at_us"], "outcome": line["outcome"],
                 "end_us": gone.get(line["seq"], line["at_us"] + line["latency_us"])}
                for line in lines if line["event"] == "call"]

    def _save(self):
        figures = self.verdict.figures
        kinds = collections.Counter(note["kind"] for note in self.nemesis.record)
        took, words = max(self.nemesis.recoveries, default=(0, "nothing"))
        self.report.update(
            done=self.nemesis.done, kinds=dict(kinds), figures=figures,
            submitted=len(self.load.submits), not_sent=self.load.skipped,
            reads=len(self.load.reads), reasons=self.reasons,
            longest_recovery={"seconds": round(took, 2), "after": words},
            violations=[repr(one) for one in self.verdict.violations[:200]],
            record=self.nemesis.record)
        folder = ROOT / "build" / "fault"
        path = folder / f"report-{self.seed}.json"
        path.write_text(json.dumps(self.report, indent=1) + "\n")
        self._tell_summary(path, kinds, took, words)
        if self.reasons:
            self._keep(folder / f"run-{self.seed}")

    def _keep(self, folder):
        """All that one needs to find out, beside what the system leaves."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for log in [*self.world.logs(), *self.world.folder.glob("stub.*")]:
            shutil.copy(log, folder)
        for name, part in vars(self.history).items():
            with open(folder / f"{name}.jsonl", "w") as file:
                for row in part:
                    file.write(json.dumps(row) + "\n")
        self.tell(f"kept: {folder}, and the installation {self.world.folder}")

    def _tell_summary(self, path, kinds, took, words):
        figures = self.verdict.figures
        self.tell(f"seed       {self.seed}, {self.nemesis.done} faults: " + ", ".join(
            f"{kind} {count}" for kind, count in sorted(kinds.items())))
        self.tell(f"accepted   {figures['accepted']} of {len(self.load.submits)} submitted, "
                  f"{figures['uncertain']} uncertain, ended: {figures['ended']}")
        self.tell(f"lost       {figures['lost']}")
        self.tell(f"doubled    {figures['doubled']}")
        self.tell(f"calls      {figures['calls']} on {figures['attempts']} attempts; repeated "
                  f"{figures['repeated']}, in flight at faults {figures['in_flight_at_faults']}")
        self.tell(f"recovery   at most {took:.2f} s, after {words}")
        self.tell(f"report     {path}")
        for one in self.verdict.violations[:20]:
            self.tell(f"VIOLATION  {one}")
        for reason in self.reasons:
            self.tell(f"FAILED     {reason}")
        if self.reasons:
            self.tell(f"again with: make chaos FAULTS={self.faults} SEED={self.seed} "
                      f"LOAD={self.rate}")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--faults", type=int, default=200)
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--rate", type=int, default=200, help="submissions a second")
    options.add_argument("--seconds", type=int, default=None,
                         help="begin no fault after so long")
    given = options.parse_args()
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}: {given.faults} faults at {given.rate} submissions a second", flush=True)
    chaos = Chaos(given.faults, seed, given.rate, given.seconds,
                  lambda line: print(line, flush=True))
    return 0 if chaos.run() else 1


if __name__ == "__main__":
    sys.exit(main())
