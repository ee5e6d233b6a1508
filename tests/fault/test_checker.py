"""The checker over made-up histories: a good one passes, and each way to break
a promise is found and named."""

import copy

import pytest

from checker import History, check

SECOND = 1_000_000


def good():
    """Two jobs of two organizations.  The first one's call was out when its
    dispatcher was killed, and was made again; the second one's failed once."""
    return {
        "submits": [
            {"number": 1, "organization": "a", "text": "one", "key": None, "job": "j1",
             "accepted": True, "cancelled": False, "at_us": 10 * SECOND},
            {"number": 2, "organization": "b", "text": "two", "key": "k", "job": "j2",
             "accepted": True, "cancelled": False, "at_us": 11 * SECOND},
            {"number": 3, "organization": "b", "text": "three", "key": None, "job": None,
             "accepted": False, "cancelled": False, "at_us": 12 * SECOND},
            {"number": 4, "organization": "a", "text": "four", "key": None, "job": "j4",
             "accepted": True, "cancelled": True, "at_us": 12 * SECOND}],
        "reads": [
            {"job": "j1", "organization": "a", "status": 202, "at_us": 11 * SECOND},
            {"job": "j1", "organization": "a", "status": 200, "at_us": 30 * SECOND,
             "digest": "d1", "text": "one"},
            {"job": "j1", "organization": "b", "status": 404, "at_us": 30 * SECOND},
            {"job": "j2", "organization": "b", "status": 200, "at_us": 31 * SECOND,
             "state": "succeeded"},
            {"job": "j2", "organization": "b", "status": 503, "at_us": 31 * SECOND}],
        "calls": [
            {"job": "j1", "attempt": "t1", "start_us": 12 * SECOND, "end_us": 14 * SECOND,
             "outcome": "ok"},
            {"job": "j1", "attempt": "t2", "start_us": 20 * SECOND, "end_us": 21 * SECOND,
             "outcome": "ok"},
            {"job": "j2", "attempt": "t3", "start_us": 30 * SECOND, "end_us": 30 * SECOND,
             "outcome": "error"},
            {"job": "j2", "attempt": "t4", "start_us": 31 * SECOND, "end_us": 31 * SECOND,
             "outcome": "ok"}],
        "log": [
            {"kind": "started", "attempt": "t1", "job": "j1", "at_us": 12 * SECOND - 500},
            {"kind": "started", "attempt": "t5", "job": "j4", "at_us": 13 * SECOND},
            {"kind": "result", "attempt": "t5", "job": "j4", "at_us": 13 * SECOND,
             "state": "cancelled"},
            {"kind": "started", "attempt": "t2", "job": "j1", "at_us": 20 * SECOND - 500},
            {"kind": "result", "attempt": "t2", "job": "j1", "at_us": 21 * SECOND,
             "state": "succeeded"},
            {"kind": "started", "attempt": "t3", "job": "j2", "at_us": 30 * SECOND - 500},
            {"kind": "failed", "attempt": "t3", "job": "j2", "at_us": 30 * SECOND},
            {"kind": "started", "attempt": "t4", "job": "j2", "at_us": 31 * SECOND - 500},
            {"kind": "result", "attempt": "t4", "job": "j2", "at_us": 31 * SECOND,
             "state": "succeeded"}],
        "attempts": [
            {"id": "t1", "job": "j1", "organization": "a", "state": "started",
             "instance": "dispatcher-1"},
            {"id": "t2", "job": "j1", "organization": "a", "state": "succeeded",
             "instance": "dispatcher-2"},
            {"id": "t3", "job": "j2", "organization": "b", "state": "failed",
             "instance": "dispatcher-2"},
            {"id": "t4", "job": "j2", "organization": "b", "state": "succeeded",
             "instance": "dispatcher-2"},
            {"id": "t5", "job": "j4", "organization": "a", "state": "cancelled",
             "instance": "dispatcher-2"}],
        "jobs": [
            {"id": "j1", "organization": "a", "state": "succeeded"},
            {"id": "j2", "organization": "b", "state": "succeeded"},
            {"id": "j4", "organization": "a", "state": "cancelled"}],
        "results": [
            {"job": "j1", "organization": "a", "digest": "d1", "text": "one"},
            {"job": "j2", "organization": "b", "digest": "d2", "text": "two"},
            {"job": "j4", "organization": "a", "digest": "d4", "text": None}],
        "faults": [
            {"kind": "kill", "target": "dispatcher-1", "begin_us": 13 * SECOND,
             "end_us": 13 * SECOND, "repeats": True, "instance": "dispatcher-1"}],
    }


def found(parts):
    return dict(check(History(**copy.deepcopy(parts))).names())


def test_a_good_history_passes():
    verdict = check(History(**good()))

    assert verdict.violations == []
    assert verdict.figures["accepted"] == 3
    assert verdict.figures["uncertain"] == 1
    assert verdict.figures["repeated"] == 1
    assert verdict.figures["in_flight_at_faults"] == 1
    assert verdict.figures["unsent"] == 1


def break_lost(parts):
    parts["jobs"][1]["state"] = "running"


def break_gone(parts):
    del parts["jobs"][1]


def break_not_found(parts):
    parts["reads"][0]["status"] = 404


def break_expired_id(parts):
    parts["reads"][0]["status"] = 410


def break_unasked(parts):
    parts["submits"][3]["cancelled"] = False


def break_expired(parts):
    parts["jobs"][0]["state"] = "expired"


def break_two_bodies(parts):
    parts["reads"][1]["digest"] = "other"


def break_two_rows(parts):
    parts["results"].append(dict(parts["results"][0]))


def break_two_states(parts):
    parts["reads"][3]["state"] = "failed"


def break_wrong_result(parts):
    parts["results"][0]["text"] = parts["reads"][1]["text"] = "two"


def break_off_record(parts):
    del parts["attempts"][3]


def break_wrong_job(parts):
    parts["attempts"][3]["job"] = "j1"
    parts["attempts"][3]["organization"] = "a"


def break_sent_twice(parts):
    parts["attempts"][2]["state"] = "failed"
    parts["calls"].append({**parts["calls"][2], "start_us": 32 * SECOND})


def logged(parts, attempt, kind):
    """The record of ${kind} about ${attempt}, to be changed."""
    [record] = [one for one in parts["log"]
                if one["attempt"] == attempt and one["kind"] == kind]
    return record


def break_acknowledged(parts):
    """Its result was on the log before its dispatcher died."""
    parts["log"].insert(1, {"kind": "result", "attempt": "t1", "job": "j1",
                            "at_us": 12_900_000, "state": "succeeded"})


def break_sent_after_the_fault(parts):
    parts["faults"][0].update(begin_us=11 * SECOND, end_us=11 * SECOND)


def break_other_dispatcher(parts):
    parts["attempts"][0]["instance"] = "dispatcher-2"


def break_logged_twice(parts):
    break_acknowledged(parts)
    logged(parts, "t1", "started")["source"] = "1/5/10"
    logged(parts, "t2", "started")["source"] = "1/5/14"


def break_before_the_fault(parts):
    parts["calls"][1]["start_us"] = parts["calls"][1]["end_us"] = 12_500_000
    logged(parts, "t2", "started")["at_us"] = 12_400_000


def break_harmless_fault(parts):
    parts["faults"][0]["repeats"] = False


def break_settled(parts):
    """No fault, and the result was there."""
    parts["attempts"][2]["state"] = "succeeded"


def break_too_early(parts):
    logged(parts, "t4", "started")["at_us"] = 31 * SECOND + 1000


def break_without_start(parts):
    parts["log"].remove(logged(parts, "t4", "started"))


def break_first_result(parts):
    """The log's first result is not the one that was shown."""
    parts["log"].insert(3, {"kind": "result", "attempt": "t1", "job": "j1",
                            "at_us": 19 * SECOND, "state": "failed"})


def break_without_call(parts):
    del parts["calls"][3]


def break_failed_without_call(parts):
    parts["jobs"][1]["state"] = parts["reads"][3]["state"] = "failed"
    parts["attempts"][2]["state"] = "started"
    del parts["calls"][2]


def break_foreign_read(parts):
    parts["reads"][2]["status"] = 200


def break_foreign_cancel(parts):
    parts["reads"][2]["status"] = 202


def break_foreign_row(parts):
    parts["results"][0]["organization"] = "b"


def break_foreign_job(parts):
    parts["jobs"][0]["organization"] = "b"


def break_key(parts):
    parts["submits"].append({**parts["submits"][1], "number": 5, "job": "j1",
                             "organization": "b"})
    parts["submits"][0]["organization"] = "b"


def break_two_of_a_key(parts):
    parts["submits"].append({**parts["submits"][1], "number": 5, "job": "j5"})
    parts["jobs"].append({"id": "j5", "organization": "b", "state": "succeeded"})
    parts["calls"].append({**parts["calls"][3], "job": "j5", "attempt": "t6"})
    parts["attempts"].append({**parts["attempts"][3], "job": "j5", "id": "t6"})
    parts["log"].append({**logged(parts, "t4", "started"), "job": "j5", "attempt": "t6"})


@pytest.mark.parametrize("broken, name", [
    (break_lost, "lost"),
    (break_gone, "lost"),
    (break_not_found, "not_found"),
    (break_expired_id, "not_found"),
    (break_unasked, "ended_unasked"),
    (break_expired, "ended_unasked"),
    (break_two_bodies, "two_results"),
    (break_two_rows, "two_results"),
    (break_two_states, "two_results"),
    (break_first_result, "two_results"),
    (break_wrong_result, "wrong_result"),
    (break_off_record, "off_record"),
    (break_wrong_job, "off_record"),
    (break_sent_twice, "off_record"),
    (break_acknowledged, "repeated"),
    (break_sent_after_the_fault, "repeated"),
    (break_harmless_fault, "repeated"),
    (break_logged_twice, "logged_twice"),
    (break_other_dispatcher, "repeated"),
    (break_before_the_fault, "repeated"),
    (break_settled, "repeated"),
    (break_too_early, "sent_too_early"),
    (break_without_start, "sent_too_early"),
    (break_without_call, "result_without_call"),
    (break_failed_without_call, "result_without_call"),
    (break_foreign_read, "foreign_id"),
    (break_foreign_cancel, "foreign_id"),
    (break_foreign_row, "foreign_id"),
    (break_foreign_job, "foreign_id"),
    (break_key, "id_given_twice"),
    (break_two_of_a_key, "key_doubled"),
])
def test_each_violation_is_named(broken, name):
    parts = good()
    broken(parts)

    assert name in found(parts)


@pytest.mark.parametrize("broken, name", [
    (break_lost, "lost"),
    (break_not_found, "not_found"),
    (break_unasked, "ended_unasked"),
    (break_two_bodies, "two_results"),
    (break_wrong_result, "wrong_result"),
    (break_off_record, "off_record"),
    (break_logged_twice, "logged_twice"),
    (break_acknowledged, "repeated"),
    (break_too_early, "sent_too_early"),
    (break_without_call, "result_without_call"),
    (break_foreign_read, "foreign_id"),
    (break_two_of_a_key, "key_doubled"),
])
def test_a_violation_is_not_taken_for_another(broken, name):
    parts = good()
    broken(parts)

    assert set(found(parts)) == {name}


def test_a_late_result_of_a_stopped_dispatcher_is_no_second_one():
    """It was taken for dead and its call made again; then it woke and told its
    result, which the log holds behind the other."""
    parts = good()
    parts["faults"][0].update(kind="stop", end_us=22 * SECOND)
    parts["attempts"][0]["state"] = "succeeded"
    parts["log"].append({"kind": "result", "attempt": "t1", "job": "j1",
                         "at_us": 22 * SECOND, "state": "succeeded"})
    assert found(parts) == {}
