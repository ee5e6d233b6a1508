"""What must hold, checked over a recorded history.  A pure function: what
clients, the provider and PostgreSQL saw goes in, violations come out, each
with its name.

Times are µs of the machine's wall clock.  Jobs are named by the uuid in their
id.  Rows are dicts:

submits   number, organization, text, key or None, job or None, accepted,
          cancelled (the client asked for it), at_us
reads     job, organization (whose key asked), status, at_us; of a result also
          digest (of status and body) and text (what the model said, or None);
          of a state also state
calls     job, attempt, start_us, end_us, outcome (of the provider's record)
log       kind (started, failed, result), job, attempt, state (of a result),
          source (where its request lies), at_us (when the broker wrote it
          down), in the order of the log
attempts  id, job, organization, state, instance
jobs      id, organization, state
results   job, organization, digest, text
faults    kind, target, begin_us, end_us; repeats: calls in flight may be made
          again, those of the dispatcher instance (None: of any)
"""

import collections

FINAL = ("succeeded", "failed", "cancelled", "expired")

# The broker's clock is read in whole milliseconds.
CLOCK_US = 1_000
NEVER_US = 1 << 62


class History:
    def __init__(self, **parts):
        for name in ("submits", "reads", "calls", "log", "attempts", "jobs", "results", "faults"):
            setattr(self, name, parts.pop(name, []))
        assert not parts, f"unknown parts: {sorted(parts)}"


class Violation:
    def __init__(self, name, job, text):
        self.name = name
        self.job = job
        self.text = text

    def __repr__(self):
        return f"{self.name}: {self.job}: {self.text}"


class Verdict:
    """violations, and figures for whoever asks how near it was."""

    def __init__(self):
        self.violations = []
        self.figures = {}

    def add(self, name, job, text):
        self.violations.append(Violation(name, job, text))

    def names(self):
        return collections.Counter(one.name for one in self.violations)


def check(history):
    verdict = Verdict()
    books = _Books(history)
    _check_accepted(books, verdict)
    _check_keys(books, verdict)
    _check_reads(books, verdict)
    _check_results(books, verdict)
    _check_organizations(books, verdict)
    _check_calls(books, verdict)
    _check_repeats(books, verdict)
    return verdict


class _Books:
    """The history by job."""

    def __init__(self, history):
        self.history = history
        self.submits = {}
        self.sent_by = collections.defaultdict(list)
        for submit in history.submits:
            if submit["job"] is None:
                continue
            self.sent_by[submit["job"]].append(submit)
            if submit["accepted"]:
                self.submits.setdefault(submit["job"], submit)
        self.jobs = {row["id"]: row for row in history.jobs}
        self.attempts = {row["id"]: row for row in history.attempts}
        self.attempts_of = _by_job(history.attempts)
        self.calls_of = _by_job(history.calls)
        self.results_of = _by_job(history.results)
        self.begun_us = {}  # attempt: when it was on the log
        self.settled_us = {}  # attempt: when its end was
        self.first_states = {}  # job: of its first result on the log
        self.sources = collections.defaultdict(set)  # job: where its request lies
        for record in history.log:
            self.sources[record["job"]].add(record.get("source"))
            if record["kind"] == "started":
                self.begun_us.setdefault(record["attempt"], record["at_us"])
            else:
                self.settled_us.setdefault(record["attempt"], record["at_us"] + CLOCK_US)
            if record["kind"] == "result":
                self.first_states.setdefault(record["job"], record["state"])
        self.reads_of = _by_job(history.reads)

    def organization(self, job):
        """Whose the job is: who sent it, else what PostgreSQL says."""
        if self.sent_by[job]:
            return self.sent_by[job][0]["organization"]
        row = self.jobs.get(job)
        return row and row["organization"]


def _by_job(rows):
    found = collections.defaultdict(list)
    for row in rows:
        found[row["job"]].append(row)
    return found


def _check_accepted(books, verdict):
    """Everything that was accepted ended, as its client may expect."""
    ended = collections.Counter()
    for job, submit in books.submits.items():
        row = books.jobs.get(job)
        state = row["state"] if row else None
        ended[state] += 1
        if state not in FINAL:
            verdict.add("lost", job, f"accepted at {submit['at_us']}, now {state}")
        elif state == "expired" or state == "cancelled" and not any(
                one["cancelled"] for one in books.sent_by[job]):
            verdict.add("ended_unasked", job, f"{state}, though nobody asked for that")
        elif state == "failed" and not any(
                one["state"] == "failed" for one in books.attempts_of[job]):
            verdict.add("result_without_call", job, "failed, and no attempt did")
    verdict.figures["accepted"] = len(books.submits)
    verdict.figures["uncertain"] = sum(not one["accepted"] for one in books.history.submits)
    verdict.figures["ended"] = dict(ended)
    verdict.figures["lost"] = verdict.names()["lost"]


def _check_keys(books, verdict):
    """One key, one job; two submissions without a common key, two jobs."""
    jobs_of = collections.defaultdict(set)
    for job, submits in books.sent_by.items():
        accepted = [one for one in submits if one["accepted"]]
        for one in accepted:
            if one["key"] is not None:
                jobs_of[one["organization"], one["key"]].add(job)
        if len({(one["organization"], one["key"] or one["number"]) for one in accepted}) > 1:
            verdict.add("id_given_twice", job, f"to {len(accepted)} submissions")
    for (organization, key), jobs in jobs_of.items():
        if len(jobs) > 1:
            verdict.add("key_doubled", min(jobs), f"{organization} {key}: {sorted(jobs)}")


def _check_reads(books, verdict):
    for job, submit in books.submits.items():
        for read in books.reads_of[job]:
            if read["organization"] != submit["organization"]:
                continue
            if read["status"] in (404, 410) and "digest" not in read:
                verdict.add("not_found", job, f"answered {read['status']} at {read['at_us']}")


def _check_results(books, verdict):
    """One result for every reader, the one that was asked for."""
    doubled = 0
    for job in set(books.results_of) | set(books.reads_of):
        seen = books.results_of[job] + [
            one for one in books.reads_of[job] if "digest" in one]
        states = {one["state"] for one in books.reads_of[job] if one.get("state") in FINAL}
        if job in books.jobs and books.jobs[job]["state"] in FINAL:
            states.add(books.jobs[job]["state"])
        if states and job in books.first_states:
            states.add(books.first_states[job])
        if len({one["digest"] for one in seen}) > 1 or len(states) > 1 or \
                len(books.results_of[job]) > 1:
            doubled += 1
            verdict.add("two_results", job, f"{len(seen)} looks at it, states {sorted(states)}")
        for submit in books.sent_by[job]:
            wrong = {one["text"] for one in seen
                     if one["text"] is not None and one["text"] != submit["text"]}
            if wrong:
                verdict.add("wrong_result", job, f"{sorted(wrong)}, not {submit['text']!r}")
    verdict.figures["doubled"] = doubled


def _check_organizations(books, verdict):
    for read in books.history.reads:
        owner = books.organization(read["job"])
        if owner is not None and read["organization"] != owner and \
                read["status"] not in (401, 404, 429, 503):
            verdict.add("foreign_id", read["job"],
                        f"{read['organization']} was answered {read['status']} about {owner}'s")
    for row in books.history.jobs:
        owner = books.organization(row["id"])
        if owner is not None and row["organization"] != owner:
            verdict.add("foreign_id", row["id"], f"stored for {row['organization']}, not {owner}")
    for row in [*books.history.attempts, *books.history.results]:
        owner = books.organization(row["job"])
        if owner is not None and row["organization"] != owner:
            verdict.add("foreign_id", row["job"], f"stored for {row['organization']}, not {owner}")


def _check_calls(books, verdict):
    """Each call is an attempt on record, and was before it was sent."""
    seen = collections.Counter()
    for call in books.history.calls:
        attempt = books.attempts.get(call["attempt"])
        seen[call["attempt"]] += 1
        if attempt is None or attempt["job"] != call["job"]:
            verdict.add("off_record", call["job"], f"call {call['attempt']} at {call['start_us']}")
        elif books.begun_us.get(call["attempt"], NEVER_US) > call["start_us"]:
            verdict.add("sent_too_early", call["job"], (
                f"call {call['attempt']} at {call['start_us']}, "
                f"its record {books.begun_us.get(call['attempt'])}"))
        if seen[call["attempt"]] == 2:
            verdict.add("off_record", call["job"], f"attempt {call['attempt']} was sent twice")
    for job, row in books.jobs.items():
        if row["state"] == "succeeded" and not any(
                call["outcome"] == "ok" for call in books.calls_of[job]):
            verdict.add("result_without_call", job, "succeeded, and the provider did not answer")
    verdict.figures["calls"] = len(books.history.calls)
    verdict.figures["attempts"] = len(books.attempts)
    verdict.figures["unsent"] = len(set(books.attempts) - set(seen))


def _in_flight(books, call, fault):
    """Whether ${call} was begun and its end not on the log at ${fault}, which
    hit its dispatcher.  When exactly it was sent only the dead one knew; the
    provider may hear of it later."""
    attempt = books.attempts.get(call["attempt"])
    if fault.get("instance") and attempt and attempt["instance"] != fault["instance"]:
        return False
    return books.begun_us.get(call["attempt"], NEVER_US) <= fault["end_us"] and \
        books.settled_us.get(call["attempt"], NEVER_US) >= fault["begin_us"]


def _check_repeats(books, verdict):
    """A call is made again only if it failed on record, or if it was in flight
    at a fault that may cost one.  logged_twice: because its request lies in the
    log more than once."""
    causes = [one for one in books.history.faults if one.get("repeats")]
    flown = set()
    for number, fault in enumerate(causes):
        out = [one["attempt"] for one in books.history.calls if _in_flight(books, one, fault)]
        verdict.figures.setdefault("in_flight", []).append(
            {"fault": number, "kind": fault["kind"], "target": fault["target"],
             "calls": len(out)})
        flown.update(out)
    repeated = 0
    for job, calls in books.calls_of.items():
        calls = sorted(calls, key=lambda one: one["start_us"])
        for call, after in zip(calls, calls[1:]):
            attempt = books.attempts.get(call["attempt"])
            if attempt and attempt["state"] == "failed":
                continue
            repeated += 1
            if not any(fault["begin_us"] <= after["start_us"] and _in_flight(books, call, fault)
                       for fault in causes):
                name = "repeated" if len(books.sources[job]) < 2 else "logged_twice"
                verdict.add(name, job, (
                    f"call {call['attempt']} from {call['start_us']} to {call['end_us']} "
                    f"({attempt and attempt['state']}) again at {after['start_us']}, "
                    "without a fault that explains it"))
    verdict.figures["repeated"] = repeated
    verdict.figures["in_flight_at_faults"] = len(flown)
