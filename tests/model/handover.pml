/*
 * The way of a request: accepted, dispatched, its result on the log, its
 * offset committed, through crashes, pauses and rebalances.
 *
 * One source partition, one results partition, two dispatchers (dsp) of one
 * group, REQUESTS requests.  All that may happen is one list of steps, of which
 * any that is possible may be next; each is one event of the real program or of
 * its world.  There is no clock: whatever could be late may be late by any time.
 *
 * Held at every step:
 *	- a call goes out only when its attempt.started lies on the log;
 *	- a call is repeated only if an earlier one was out (sent, its result not
 *	  acknowledged) when its process died or was expelled from the group;
 *	- what a reader of results has shown for a request never changes;
 *	- what a waiting client is told is what every reader shows;
 *	- an offset is committed, or marked in the map, only when a final
 *	  result of its request lies on the log.
 * Held at the end of every run: each accepted request has a result, and its
 * offset is committed.  Every run has an end (the runner has Spin look for
 * cycles), so "at the end" means "eventually".
 *
 * What is left out, and why that is sound:
 *	- the requests topic and its reader: a record is read when it is needed;
 *	- a reader's lag: what it shows depends on the records before its position
 *	  only, so reading at once shows what reading late would;
 *	- Redis and PostgreSQL: a reply is a message that arrives, the recorder's
 *	  rows and offset move in one transaction;
 *	- how long an attempt is held at most: a clock.
 * Two assumptions stand in their place: whoever learns that a process is gone
 * has first read what it put on the log, and a cancel is on its topic before
 * anybody acts upon it.
 *
 * Bounds, by -D: CRASHES (1) of each dispatcher; in all PAUSES, REVOKES
 * (planned rebalances), REBUILDS (of a producer after a fatal error), CANCELS,
 * FAILURES (of calls that may be repeated).
 *
 * Known to be wrong, by -D; with each the check must fail:
 *	WRONG_COMMIT_EARLY    an offset is done when its result is sent
 *	WRONG_NO_RECONCILE    results are not read on assignment
 *	WRONG_CALL_EARLY      the call does not wait for attempt.started's ack
 *	WRONG_REPLY_EARLY     the reply does not wait for the result's ack
 *	WRONG_LAST_WINS       a reader shows the last result, not the first
 *	WRONG_RESULTS_AHEAD   results_offset ignores what is not acknowledged
 *	WRONG_NO_HOLD         attempts of live members are repeated
 *	WRONG_REPLY_REPEATED  a reply although an attempt of another may end too
 *	WRONG_REPLY_REVOKED   a reply although the partition has another owner
 */

#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef PAUSES
#define PAUSES 0
#endif
#ifndef REVOKES
#define REVOKES 0
#endif
#ifndef REBUILDS
#define REBUILDS 0
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef LEAVES
#define LEAVES 0
#endif
#ifndef FAILURES
#define FAILURES 0
#endif

#define NOBODY 2
#define NEVER 255
#define MAX_LOG 24
#define MAX_ATTEMPT 7
#define ROOM 3 /* records that a producer takes */

/*
 * A record of results in one byte.  An attempt's number is its id: no two of a
 * request are equal.  Attempt 0: cancelled before any call of this process.
 */
#define STARTED 0
#define FAILED 1 /* also: its call was not sent */
#define RESULT 2
#define UNUSED 255
#define RECORD(kind, d, r, attempt) \
	((kind) << 6 | boot[d] << 5 | (d) << 4 | (r) << 3 | (attempt))
#define KIND(record) ((record) >> 6)
#define BOOT(record) ((record) >> 5 & 1)
#define MAKER(record) ((record) >> 4 & 1)
#define OF(record) ((record) >> 3 & 1)
#define ATTEMPT(record) ((record) & 7)

/* ---- the world ---- */

byte accepted; /* requests on the log: 0 .. accepted - 1 */
bit cancelled[2];

byte log[MAX_LOG];
byte log_end;
byte shown[2];  /* by readers of results: attempt + 1 */
byte started[2]; /* attempts begun and not failed by the log, as bits */
byte made[4];    /* those of them that the present life of each made */

byte owner = NOBODY; /* of the partition, as the group knows it */
bit member[2];
byte committed;        /* offset */
bit committed_done[2]; /* map */
byte committed_results; /* results_offset: where to read from */

byte attempts[2]; /* of each request, to number them */
/* Attempts whose calls may not be repeated, as bits: all that were called,
 * but those that failed or were out at a crash or an expulsion. */
byte barred[2];

/* ---- the dispatchers ---- */

#define IS_FREE 0     /* not assigned */
#define IS_ASSIGNED 1 /* nothing is known yet */
#define IS_ACTIVE 2

bit up[2];
bit gone[2]; /* will not be started again */
bit paused[2];
bit boot[2];
byte crashed[2];
byte role[2];

#define UNREAD 0
#define QUEUED 1
#define DOOMED 2   /* a cancel was read with it */
#define STARTING 3 /* attempt.started sent */
#define CALLING 4
#define HELD 5
#define ENDING 6 /* result sent */
#define DONE 7

#define AT(d, r) ((d) * 2 + (r))
byte work[4];
byte tried[4]; /* its attempt under way */
byte first[4]; /* where its first record lies */
bit shared[4]; /* an attempt of another may bring a result as well */

/* Works of a partition that was taken away.  Same states. */
byte orphan[4];
byte orphan_tried[4];

/* Records sent, then those appended whose acknowledgement is on the way. */
chan sent[2] = [ROOM] of { byte };
chan acks[2] = [ROOM] of { byte };
/* What a producer that was rebuilt has to send again. */
chan left[2] = [ROOM] of { byte };
bit frozen[2];
byte acked[2]; /* records of results below are acknowledged, or not ours */

byte pauses, revokes, rebuilds, cancels, failures;

/* Of steps; 0 between them, so that they do not multiply states. */
byte i, j, at, base, results, record;
bit open, over, ended, foreign;

#define RESET() \
	i = 0; j = 0; at = 0; base = 0; results = 0; record = 0; \
	open = 0; over = 0; ended = 0; foreign = 0; 

/* Attempts of request r of one who lives. */
#define BY(d, r) (up[d] && member[d] -> made[AT(d, r)] : 0)
#define RUNS(d) (up[d] && !paused[d])
/* It owns the partition and was not told otherwise; see LOSE. */
#define OWNS(d) (RUNS(d) && role[d] == IS_ACTIVE && owner == (d))
/* Read behind the assignment, or queued by it. */
#define IS_READY(d, r) \
	(work[AT(d, r)] == QUEUED || \
	    (work[AT(d, r)] == UNREAD && (r) < accepted))
#define ROOM_FOR(d) (len(sent[d]) + len(acks[d]) + len(left[d]) < ROOM)

/* ---- parts of steps ---- */

inline send(d, r, kind, attempt)
{
	sent[d]!RECORD(kind, d, r, attempt)
}

/* The record that arrived at the log, for all who read it. */
inline append(value)
{
	assert(log_end < MAX_LOG);
	log[log_end] = value;
	log_end++;
	if
	:: KIND(value) == STARTED ->
		started[OF(value)] = started[OF(value)] | 1 << ATTEMPT(value);
		if
		:: up[MAKER(value)] ->
			made[AT(MAKER(value), OF(value))] =
			    made[AT(MAKER(value), OF(value))] |
			    1 << ATTEMPT(value)
		:: else
		fi
	:: KIND(value) == FAILED ->
		started[OF(value)] =
		    started[OF(value)] & ~(1 << ATTEMPT(value))
#ifdef WRONG_LAST_WINS
	:: KIND(value) == RESULT ->
		assert(shown[OF(value)] == 0 ||
		    shown[OF(value)] == ATTEMPT(value) + 1);
		shown[OF(value)] = ATTEMPT(value) + 1
#else
	:: KIND(value) == RESULT && shown[OF(value)] == 0 ->
		shown[OF(value)] = ATTEMPT(value) + 1
#endif
	:: else
	fi
}

inline settle(d, r)
{
	work[AT(d, r)] = DONE;
	tried[AT(d, r)] = 0;
	first[AT(d, r)] = NEVER;
	shared[AT(d, r)] = 0
}

inline call(d, r, attempt)
{
	assert(started[r] & 1 << (attempt));
	assert(barred[r] == 0);
	barred[r] = barred[r] | 1 << (attempt)
}

inline reply(r, attempt)
{
	assert(shown[r] == (attempt) + 1)
}

inline forget(d, r)
{
	work[AT(d, r)] = UNREAD;
	tried[AT(d, r)] = 0;
	first[AT(d, r)] = NEVER;
	shared[AT(d, r)] = 0
}

/* What is under way goes on without its partition; the rest is dropped. */
inline detach(d)
{
	for (i : 0 .. REQUESTS - 1) {
		if
		:: work[AT(d, i)] == STARTING || work[AT(d, i)] == CALLING ||
		   work[AT(d, i)] == ENDING ->
			assert(orphan[AT(d, i)] == UNREAD);
			orphan[AT(d, i)] = work[AT(d, i)];
			orphan_tried[AT(d, i)] = tried[AT(d, i)]
		:: else
		fi;
		forget(d, i)
	}
	role[d] = IS_FREE
}

/* Its calls that are out may be repeated; a cancelled work has none. */
inline excuse(d)
{
	for (i : 0 .. REQUESTS - 1) {
		if
		:: work[AT(d, i)] == CALLING ||
		   work[AT(d, i)] == ENDING ->
			barred[i] = barred[i] & ~(1 << tried[AT(d, i)])
		:: else
		fi;
		if
		:: orphan[AT(d, i)] == CALLING ||
		   orphan[AT(d, i)] == ENDING ->
			barred[i] = barred[i] & ~(1 << orphan_tried[AT(d, i)])
		:: else
		fi
	}
}

/* Into base and results: what a commit of ${d} says. */
inline look(d)
{
	base = 0;
	do
	:: base < REQUESTS && work[AT(d, base)] == DONE -> base++
	:: else -> break
	od;
	results = acked[d];
	for (i : 0 .. REQUESTS - 1) {
		if
#ifndef WRONG_RESULTS_AHEAD
		:: work[AT(d, i)] != DONE && first[AT(d, i)] < results ->
			results = first[AT(d, i)]
#endif
		:: else
		fi
	}
	if
	:: results < committed_results -> results = committed_results
	:: else
	fi
}

inline commit(d)
{
	look(d);
	committed = base;
	committed_results = results;
	for (i : 0 .. REQUESTS - 1) {
		committed_done[i] = work[AT(d, i)] == DONE;
		assert(!committed_done[i] || shown[i] > 0)
	}
	/* Nobody reads these again: fewer states. */
	for (i : 0 .. log_end - 1) {
		if
		:: log[i] != UNUSED &&
		   (i < results || committed_done[OF(log[i])]) ->
			log[i] = UNUSED
		:: else
		fi
	}
}

/*
 * What the log says about request ${r} to dispatcher ${d}, from position
 * ${from} on: ended; open, an attempt of somebody who lives may be out; foreign, one of somebody who is gone has no end; at, where the
 * first record lies.
 */
inline study(d, r, from)
{
	ended = 0;
	open = 0;
	;
	foreign = 0;
	at = NEVER;
	for (i : from .. log_end - 1) {
		if
		:: log[i] != UNUSED && OF(log[i]) == r ->
			if
			:: at == NEVER -> at = i
			:: else
			fi;
			if
			:: KIND(log[i]) == RESULT -> ended = 1
			:: KIND(log[i]) == STARTED ->
				over = 0;
				/* Its end, if there is one, stands behind it. */
				for (j : i + 1 .. log_end - 1) {
					if
					:: log[j] == (log[i] | FAILED << 6) ->
						over = 1
					:: else
					fi
				}
				if
				:: !over && up[MAKER(log[i])] &&
				   member[MAKER(log[i])] &&
				   boot[MAKER(log[i])] == BOOT(log[i]) ->
					open = 1
				:: !over -> foreign = 1
				:: else
				fi
			:: else
			fi
		:: else
		fi
	}
}

/* Its place after an assignment of ${d}, by what study found. */
inline place(d, r)
{
	first[AT(d, r)] = at;
	if
	:: ended -> settle(d, r)
	:: !ended && cancelled[r] ->
		work[AT(d, r)] = DOOMED;
		shared[AT(d, r)] = open || foreign
#ifndef WRONG_NO_HOLD
	:: !ended && !cancelled[r] && open ->
		work[AT(d, r)] = HELD;
		shared[AT(d, r)] = 1
	:: !ended && !cancelled[r] && !open ->
#else
	:: !ended && !cancelled[r] ->
#endif
		work[AT(d, r)] = QUEUED;
		shared[AT(d, r)] = open || foreign
	fi
}

inline reconcile(d)
{
	role[d] = IS_ACTIVE;
	acked[d] = committed_results;
	record = 0;
	do
	:: record < accepted ->
#ifdef WRONG_NO_RECONCILE
		at = NEVER;
#else
		study(d, record, committed_results);
#endif
		if
		:: record < committed || committed_done[record] ->
			settle(d, record)
		:: else -> place(d, record)
		fi;
		record++
	:: else -> break
	od
}

/* One acknowledgement reaches ${d}. */
inline acknowledged(d)
{
	acks[d]?record;
	/* Where it lies: the last time, if it was sent again. */
	for (i : 0 .. log_end - 1) {
		if
		:: log[i] == record -> at = i + 1
		:: else
		fi
	}
#ifndef WRONG_RESULTS_AHEAD
	if
	:: frozen[d] && len(acks[d]) + len(sent[d]) + len(left[d]) == 0 ->
		frozen[d] = 0
	:: else
	fi;
#endif
	if
	:: !frozen[d] && at > acked[d] && role[d] == IS_ACTIVE -> acked[d] = at
	:: else
	fi;
	j = AT(d, OF(record));
	if
	:: KIND(record) == STARTED && work[j] == STARTING &&
	   tried[j] == ATTEMPT(record) ->
		if
		:: first[j] == NEVER -> first[j] = at - 1
		:: else
		fi;
#ifndef WRONG_CALL_EARLY
		call(d, OF(record), ATTEMPT(record));
#endif
		work[j] = CALLING
	:: KIND(record) == STARTED && orphan[j] == STARTING &&
	   orphan_tried[j] == ATTEMPT(record) ->
		send(d, OF(record), FAILED, ATTEMPT(record));
		orphan[j] = UNREAD;
		orphan_tried[j] = 0
	:: KIND(record) == RESULT && work[j] == ENDING &&
	   tried[j] == ATTEMPT(record) ->
#ifndef WRONG_REPLY_EARLY
		if
#ifdef WRONG_REPLY_REPEATED
		:: true -> reply(OF(record), ATTEMPT(record))
#else
		:: !shared[j] -> reply(OF(record), ATTEMPT(record))
#endif
		:: else
		fi;
#endif
		settle(d, OF(record))
	:: KIND(record) == RESULT && orphan[j] == ENDING &&
	   orphan_tried[j] == ATTEMPT(record) ->
#ifdef WRONG_REPLY_REVOKED
		reply(OF(record), ATTEMPT(record));
#endif
		orphan[j] = UNREAD;
		orphan_tried[j] = 0
	:: else
	fi
}

inline finish(d, r, attempt)
{
	send(d, r, RESULT, attempt);
	tried[AT(d, r)] = attempt;
#ifdef WRONG_REPLY_EARLY
	if
	:: !shared[AT(d, r)] -> reply(r, attempt)
	:: else
	fi;
#endif
#ifdef WRONG_COMMIT_EARLY
	settle(d, r)
#else
	work[AT(d, r)] = ENDING
#endif
}

/* ---- steps of a dispatcher and one request ---- */

#define STEPS_OF_WORK(d, r) \
	:: d_step { OWNS(d) && IS_READY(d, r) && ROOM_FOR(d) -> \
		attempts[r]++; \
		assert(attempts[r] <= MAX_ATTEMPT); \
		tried[AT(d, r)] = attempts[r]; \
		send(d, r, STARTED, attempts[r]); \
		START_CALL(d, r); \
		work[AT(d, r)] = STARTING } \
	:: d_step { OWNS(d) && work[AT(d, r)] == CALLING && ROOM_FOR(d) -> \
		finish(d, r, tried[AT(d, r)]) } \
	/* the call failed: wait, again */ \
	:: d_step { OWNS(d) && work[AT(d, r)] == CALLING && ROOM_FOR(d) && \
		failures < FAILURES -> \
		failures++; \
		barred[r] = barred[r] & ~(1 << tried[AT(d, r)]); \
		send(d, r, FAILED, tried[AT(d, r)]); \
		tried[AT(d, r)] = 0; \
		work[AT(d, r)] = QUEUED } \
	/* a cancel */ \
	:: d_step { OWNS(d) && cancelled[r] && ROOM_FOR(d) && \
		orphan[AT(d, r)] == UNREAD && \
		(IS_READY(d, r) || work[AT(d, r)] == DOOMED || \
		    work[AT(d, r)] == HELD || work[AT(d, r)] == CALLING) -> \
		finish(d, r, 0) } \
	/* what it was held for is over, and so is it or not */ \
	:: d_step { OWNS(d) && work[AT(d, r)] == HELD && shown[r] > 0 -> \
		settle(d, r) } \
	:: d_step { OWNS(d) && work[AT(d, r)] == HELD && shown[r] == 0 && \
		(started[r] & (BY(0, r) | BY(1, r))) == 0 -> \
		work[AT(d, r)] = QUEUED; \
		shared[AT(d, r)] = started[r] != 0 } \
	:: d_step { RUNS(d) && !LOSES(d) && orphan[AT(d, r)] == CALLING && \
		ROOM_FOR(d) -> \
		send(d, r, RESULT, orphan_tried[AT(d, r)]); \
		orphan[AT(d, r)] = ENDING }

#ifdef WRONG_CALL_EARLY
#define START_CALL(d, r) call(d, r, attempts[r])
#else
#define START_CALL(d, r) skip
#endif

/* ---- steps of a dispatcher ---- */

/* It was expelled and serves that before anything else. */
#define LOSES(d) (role[d] != IS_FREE && owner != (d))

#define STEPS_OF_DISPATCHER(d) \
	:: d_step { RUNS(d) && LOSES(d) -> detach(d); RESET() } \
	:: d_step { RUNS(d) && role[d] == IS_ASSIGNED && owner == (d) -> \
		reconcile(d); RESET() } \
	:: d_step { RUNS(d) && !LOSES(d) && nempty(acks[d]) && \
		len(sent[d]) < ROOM -> \
		acknowledged(d); RESET() } \
	:: d_step { OWNS(d) && CAN_COMMIT(d) -> commit(d); RESET() } \
	/* its producer meets a fatal error; what is unacknowledged waits */ \
	:: d_step { RUNS(d) && rebuilds < REBUILDS && \
		len(acks[d]) + len(sent[d]) > 0 -> \
		rebuilds++; \
		FREEZE(d); \
		do \
		:: nempty(acks[d]) -> acks[d]?record; left[d]!record \
		:: empty(acks[d]) -> break \
		od; \
		do \
		:: nempty(sent[d]) -> sent[d]?record; left[d]!record \
		:: empty(sent[d]) -> break \
		od; \
		RESET() } \
	:: d_step { RUNS(d) && nempty(left[d]) && nfull(sent[d]) -> \
		left[d]?record; sent[d]!record; RESET() } \
	/* the broker appends, in the order of sending */ \
	:: d_step { nempty(sent[d]) && nfull(acks[d]) -> \
		sent[d]?record; append(record); \
		if \
		:: up[d] -> acks[d]!record \
		:: else \
		fi; \
		RESET() } \
	/* what a dead one sent may never arrive */ \
	:: d_step { !up[d] && nempty(sent[d]) -> \
		do \
		:: nempty(sent[d]) -> sent[d]?record \
		:: empty(sent[d]) -> break \
		od; \
		RESET() }

#ifdef WRONG_RESULTS_AHEAD
#define FREEZE(d) skip
#else
#define FREEZE(d) frozen[d] = 1
#endif

/* Something would be said that is not committed yet: DONE or results. */
#define NEWS(d, r) \
	(r < REQUESTS && work[AT(d, r)] == DONE && !committed_done[r])
#define CAN_COMMIT(d) (NEWS(d, 0) || NEWS(d, 1))

/* ---- steps of the world upon a dispatcher ---- */

/*
 * A bound: one orphan of a request is enough when nobody gets the partition
 * back before the log shows what is on its way there from it, and cancels only
 * what has no orphan.
 */
#define HIDDEN(d, r) \
	(orphan[AT(d, r)] == STARTING || \
	    (orphan[AT(d, r)] == ENDING && orphan_tried[AT(d, r)] == 0))
#define CAN_OWN(d) \
	(RUNS(d) && member[d] && role[d] == IS_FREE && !HIDDEN(d, 0) && \
	    !HIDDEN(d, 1))

#define STEPS_OF_WORLD(d) \
	:: d_step { owner == NOBODY && CAN_OWN(d) -> \
		owner = d; role[d] = IS_ASSIGNED } \
	/* a planned rebalance; it commits, and joins again at once */ \
	:: d_step { RUNS(d) && owner == (d) && role[d] != IS_FREE && \
		revokes < REVOKES -> \
		revokes++; \
		if \
		:: role[d] == IS_ACTIVE -> commit(d) \
		:: else \
		fi; \
		detach(d); owner = 1 - d; \
		if \
		:: CAN_OWN(1 - d) -> \
			role[1 - d] = IS_ASSIGNED \
		:: else -> owner = NOBODY \
		fi; \
		RESET() } \
	:: atomic { up[d] && crashed[d] < CRASHES -> \
		d_step { \
			crashed[d]++; up[d] = 0; paused[d] = 0; \
			excuse(d); \
			for (i : 0 .. REQUESTS - 1) { \
				forget(d, i); \
				orphan[AT(d, i)] = UNREAD; \
				orphan_tried[AT(d, i)] = 0; \
				made[AT(d, i)] = 0 \
			} \
			do \
			:: nempty(acks[d]) -> acks[d]?record \
			:: empty(acks[d]) -> break \
			od; \
			do \
			:: nempty(left[d]) -> left[d]?record \
			:: empty(left[d]) -> break \
			od; \
			frozen[d] = 0; acked[d] = 0; role[d] = IS_FREE; \
			RESET() \
		}; \
		if \
		:: LEAVES && !gone[1 - d] -> gone[d] = 1 \
		:: skip \
		fi } \
	/* the session of a dead one ends */ \
	:: d_step { !up[d] && member[d] -> \
		member[d] = 0; \
		if \
		:: owner == (d) -> owner = NOBODY \
		:: else \
		fi } \
	/* a new life; what the old one sent has arrived or never will */ \
	:: d_step { !up[d] && !gone[d] && empty(sent[d]) -> \
		up[d] = 1; boot[d] = 1 - boot[d]; member[d] = 1; \
		if \
		:: owner == (d) -> owner = NOBODY \
		:: else \
		fi } \
	:: d_step { RUNS(d) && pauses < PAUSES -> \
		pauses++; paused[d] = 1 } \
	/* it pauses for longer than its session: expelled */ \
	:: d_step { paused[d] && member[d] -> \
		member[d] = 0; excuse(d); \
		if \
		:: owner == (d) -> owner = NOBODY \
		:: else \
		fi; \
		RESET() } \
	:: d_step { paused[d] -> paused[d] = 0 } \
	/* and joins again when it has noticed */ \
	:: d_step { RUNS(d) && !member[d] && role[d] == IS_FREE -> \
		member[d] = 1 }

#define STEPS_OF_CLIENT(r) \
	:: d_step { cancels < CANCELS && r < accepted && !cancelled[r] && \
		shown[r] == 0 -> \
		cancels++; cancelled[r] = 1 }

init
{
	d_step {
		up[0] = 1;
		up[1] = 1;
		member[0] = 1;
		member[1] = 1;
		first[0] = NEVER;
		first[1] = NEVER;
		first[2] = NEVER;
		first[3] = NEVER;
		/* They are alike: one of them is the first owner. */
		owner = 0;
		role[0] = IS_ASSIGNED
	};
	do
	:: d_step { accepted < REQUESTS -> accepted++ }
	STEPS_OF_WORK(0, 0)
	STEPS_OF_WORK(1, 0)
	STEPS_OF_DISPATCHER(0)
	STEPS_OF_DISPATCHER(1)
	STEPS_OF_WORLD(0)
	STEPS_OF_WORLD(1)
	STEPS_OF_CLIENT(0)
#if REQUESTS > 1
	STEPS_OF_WORK(0, 1)
	STEPS_OF_WORK(1, 1)
	STEPS_OF_CLIENT(1)
#endif
	:: timeout -> break
	od;
	/* Nothing more can happen. */
	for (i : 0 .. REQUESTS - 1) {
		assert(shown[i] > 0);
		assert(committed_done[i])
	}
	assert(accepted == REQUESTS && committed == REQUESTS)
}
