#include "tenant/auth.h"

#include <string.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "loop/loop.h"
#include "pg/pg.h"
#include "store/keys.h"
#include "tenant/key.h"

/*
 * Happy path: take the key apart, hash its secret, find the entry of its
 * public part, compare.  No entry, or one that is too old: one load of it is
 * started, and everybody who asks meanwhile waits for the same load.
 *
 * Failure modes: PostgreSQL does not answer: an entry of up to an hour is used
 * as it is, and asked for again after a second; without one the answer is
 * UNABLE.  A server that is silent is found by a load that takes too long: who
 * waits for it is served from the entry, and until a load succeeds nobody
 * waits any more.  A key changes while its load is on its way: what the load
 * brings may be older than the change, so it is loaded again.
 *
 * Whoever has no valid secret learns nothing: an unknown key costs the same
 * hash and comparison as a known one with a wrong secret, and gets the same
 * answer.
 */

#define MAX_ENTRIES 100000
#define SECOND_US UINT64_C(1000000)
#define UNKNOWN_US (5 * SECOND_US)
#define MAX_AGE_US (3600 * SECOND_US)
#define AGAIN_US SECOND_US
/* A healthy load takes a millisecond; longer counts as unreachable. */
#define PATIENCE_US (SECOND_US / 2)
#define KEY_ID_CHARS 16
#define HASH_BYTES 32

/* What the cache holds of one key. */
struct entry {
	char key_id[KEY_ID_CHARS]; /* the map's key */
	struct synq_link link;     /* on auth->entries */
	struct load *load;         /* on its way; NULL = none */
	int loaded;                /* 0: nothing of the below counts yet */
	int found;                 /* 0 = there is no such key */
	int doubtful; /* the last load failed, or is taking too long */
	struct synq_key_row row;
	uint64_t loaded_us;
	uint64_t again_us; /* not asked for again before that */
};

/* One question to the store. */
struct load {
	struct synq_link link;  /* on auth->loads, or orphans */
	struct synq_auth *auth; /* NULL = it was freed */
	struct entry *entry;
	struct synq_list waiters;
	struct synq_timer *patience; /* of the waiters; NULL = no way around */
	int outdated; /* the key changed since it was asked for */
};

/* What a caller has shown. */
struct proof {
	uint8_t hash[HASH_BYTES];
	int live;
};

/* One check that waits. */
struct waiter {
	struct synq_link link;
	struct proof proof;
	synq_auth_fn *fn;
	void *ctx;
};

struct synq_auth {
	struct synq_loop *loop;
	struct synq_pg *pg;
	struct synq_auth_config config;
	struct synq_map *map;     /* key id => struct entry */
	struct synq_list entries; /* least recently used first */
	struct synq_list loads;
};

/* Loads whose authenticator is gone: the store still knows them. */
static struct synq_list orphans;

static int load_start(struct load *load);

/* ---- entries ---- */

static void
entry_free(struct synq_auth *auth, struct entry *entry)
{
	(void)synq_map_remove(
	    auth->map, synq_slice_of(entry->key_id, KEY_ID_CHARS));
	synq_list_remove(&auth->entries, &entry->link);
	synq_mem_free(entry);
}

/* Make room for one more entry. */
static void
entry_evict(struct synq_auth *auth)
{
	struct synq_link *link;
	struct synq_link *after;

	if (auth->entries.count < MAX_ENTRIES)
		return;
	synq_list_foreach (&auth->entries, link, after) {
		struct entry *entry = SYNQ_CONTAINER(link, struct entry, link);

		if (entry->load == NULL) {
			entry_free(auth, entry);
			return;
		}
	}
}

/* The entry of ${key_id}, made if need be, as the most recently used. */
static struct entry *
entry_of(struct synq_auth *auth, struct synq_slice key_id)
{
	struct entry *entry = synq_map_get(auth->map, key_id);

	if (entry != NULL) {
		synq_list_remove(&auth->entries, &entry->link);
	} else {
		entry_evict(auth);
		entry = synq_mem_new(sizeof(*entry));
		memcpy(entry->key_id, key_id.data, KEY_ID_CHARS);
		(void)synq_map_set(auth->map,
		    synq_slice_of(entry->key_id, KEY_ID_CHARS), entry);
	}
	synq_list_push(&auth->entries, &entry->link);
	return entry;
}

/* 1 if ${entry} can be used without asking the store, else 0. */
static int
entry_fresh(const struct synq_auth *auth, const struct entry *entry)
{
	const uint64_t now_us = synq_loop_now_us(auth->loop);
	const uint64_t limit_us =
	    entry->found ? auth->config.refresh_s * SECOND_US : UNKNOWN_US;

	return entry->loaded && now_us - entry->loaded_us < limit_us;
}

/* 1 if ${entry} can be used while PostgreSQL does not answer, else 0. */
static int
entry_bearable(const struct synq_auth *auth, const struct entry *entry)
{
	const uint64_t now_us = synq_loop_now_us(auth->loop);

	return entry->loaded && entry->found &&
	       now_us - entry->loaded_us < MAX_AGE_US;
}

/* ---- the decision ---- */

static enum synq_auth_answer
decide(const struct synq_auth *auth, const struct entry *entry,
    const struct proof *proof, struct synq_principal *ret)
{
	static const uint8_t nothing[HASH_BYTES];
	const struct synq_key_row *row = &entry->row;
	const int64_t now_at = synq_loop_wall_us(auth->loop);
	const int same = synq_hash_equal(
	    entry->found ? row->hash : nothing, proof->hash, HASH_BYTES);

	if (!entry->found || !same || row->live != proof->live ||
	    row->pepper_id != auth->config.pepper_id)
		return SYNQ_AUTH_UNKNOWN;
	if (row->revoked || (row->expires_at != 0 && row->expires_at <= now_at))
		return SYNQ_AUTH_REVOKED;
	ret->organization_id = row->organization_id;
	ret->key_row_id = row->id;
	ret->live = row->live;
	return SYNQ_AUTH_OK;
}

/* Tell ${waiter} what ${load} brought, and free it. */
static void
waiter_tell(const struct load *load, struct waiter *waiter, int able)
{
	struct synq_principal principal = { .live = 0 };
	enum synq_auth_answer answer = SYNQ_AUTH_UNABLE;

	if (able)
		answer =
		    decide(load->auth, load->entry, &waiter->proof, &principal);
	waiter->fn(
	    waiter->ctx, answer, answer == SYNQ_AUTH_OK ? &principal : NULL);
	synq_mem_free(waiter);
}

/* ---- loads ---- */

/* Tell all who wait for ${load}.  They may free the authenticator. */
static void
load_tell(struct load *load, int able)
{
	while (load->auth != NULL && load->waiters.count > 0)
		waiter_tell(load,
		    SYNQ_CONTAINER(
			synq_list_shift(&load->waiters), struct waiter, link),
		    able);
}

/* It takes too long: who waits is served from the entry, if that will do. */
static void
load_on_patience(void *ctx)
{
	struct load *load = ctx;

	if (!entry_bearable(load->auth, load->entry))
		return;
	load->entry->doubtful = 1;
	load_tell(load, 1);
}

/* The end of ${load}. */
static void
load_end(struct load *load, int able)
{
	struct synq_auth *auth;

	synq_timer_free(&load->patience);
	load_tell(load, able);
	auth = load->auth;
	synq_list_remove(auth != NULL ? &auth->loads : &orphans, &load->link);
	if (auth != NULL) {
		load->entry->load = NULL;
		if (!load->entry->loaded)
			entry_free(auth, load->entry);
	}
	synq_mem_free(load);
}

static void
load_fail(struct load *load)
{
	load->entry->again_us = synq_loop_now_us(load->auth->loop) + AGAIN_US;
	load->entry->doubtful = 1;
	load_end(load, entry_bearable(load->auth, load->entry));
}

static void
load_on_found(void *ctx, int rc, const struct synq_key_row *row)
{
	struct load *load = ctx;
	struct entry *entry = load->entry;

	if (load->auth == NULL) {
		load_end(load, 0);
		return;
	}
	if (rc == 0 && load->outdated) {
		load->outdated = 0;
		rc = load_start(load);
		if (rc == 0)
			return;
	}
	if (rc != 0) {
		load_fail(load);
		return;
	}
	entry->loaded = 1;
	entry->doubtful = 0;
	entry->loaded_us = synq_loop_now_us(load->auth->loop);
	entry->found = row != NULL;
	if (row != NULL)
		entry->row = *row;
	load_end(load, 1);
}

static int
load_start(struct load *load)
{
	return synq_store_find_key(load->auth->pg,
	    synq_slice_of(load->entry->key_id, KEY_ID_CHARS), load_on_found,
	    load);
}

/* Begin to load ${entry}; 0, or BUSY. */
static int
load_new(struct synq_auth *auth, struct entry *entry)
{
	struct load *load = synq_mem_new(sizeof(*load));
	int rc;

	load->auth = auth;
	load->entry = entry;
	synq_list_init(&load->waiters);
	rc = load_start(load);
	if (rc != 0) {
		synq_mem_free(load);
		return rc;
	}
	entry->load = load;
	synq_list_push(&auth->loads, &load->link);
	if (entry_bearable(auth, entry)) {
		load->patience =
		    synq_timer_new(auth->loop, load_on_patience, load);
		synq_timer_start(load->patience, PATIENCE_US);
	}
	return 0;
}

/* ---- the interface ---- */

struct synq_auth *
synq_auth_new(struct synq_loop *loop, struct synq_pg *pg,
    const struct synq_auth_config *config)
{
	struct synq_auth *auth = synq_mem_new(sizeof(*auth));

	auth->loop = loop;
	auth->pg = pg;
	auth->config = *config;
	auth->map = synq_map_new();
	synq_list_init(&auth->entries);
	synq_list_init(&auth->loads);
	if (orphans.head.next == NULL)
		synq_list_init(&orphans);
	return auth;
}

/* Drop everybody who waits for ${load}, or only those with ${ctx}. */
static void
load_forget(struct load *load, const void *ctx)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&load->waiters, link, after) {
		struct waiter *waiter =
		    SYNQ_CONTAINER(link, struct waiter, link);

		if (ctx != NULL && waiter->ctx != ctx)
			continue;
		synq_list_remove(&load->waiters, link);
		synq_mem_free(waiter);
	}
}

void
synq_auth_free(struct synq_auth **auth)
{
	struct synq_auth *self = *auth;
	struct synq_link *link;

	if (self == NULL)
		return;
	while ((link = synq_list_shift(&self->loads)) != NULL) {
		struct load *load = SYNQ_CONTAINER(link, struct load, link);

		load_forget(load, NULL);
		synq_timer_free(&load->patience);
		load->auth = NULL;
		load->entry = NULL;
		synq_list_push(&orphans, link);
	}
	while ((link = synq_list_first(&self->entries)) != NULL)
		entry_free(self, SYNQ_CONTAINER(link, struct entry, link));
	synq_map_free(&self->map);
	synq_mem_free(self);
	*auth = NULL;
}

/* The key in ${header} into ${ret}; OK, MISSING or MALFORMED. */
static enum synq_auth_answer
read_header(struct synq_slice header, struct synq_key_parts *ret)
{
	static const char scheme[] = "Bearer";
	const size_t bytes = sizeof(scheme) - 1;

	header = synq_slice_trim(header);
	if (header.bytes == 0)
		return SYNQ_AUTH_MISSING;
	if (header.bytes <= bytes ||
	    !synq_slice_is_nocase(synq_slice_of(header.data, bytes), scheme) ||
	    header.data[bytes] != ' ')
		return SYNQ_AUTH_MALFORMED;
	header = synq_slice_trim(
	    synq_slice_of(header.data + bytes, header.bytes - bytes));
	return synq_key_parse(header, ret) == 0 ? SYNQ_AUTH_OK
	                                        : SYNQ_AUTH_MALFORMED;
}

/*
 * 1 and ${ret_able} if ${entry} is used as it is, now; 0 if the store is being
 * asked and is worth waiting for.
 */
static int
settle_now(struct synq_auth *auth, struct entry *entry, int *ret_able)
{
	*ret_able = 1;
	if (entry_fresh(auth, entry))
		return 1;
	*ret_able = entry_bearable(auth, entry);
	if (*ret_able && !synq_pg_healthy(auth->pg))
		return 1;
	if (entry->load != NULL)
		return *ret_able && entry->doubtful;
	if (*ret_able && synq_loop_now_us(auth->loop) < entry->again_us)
		return 1;
	if (load_new(auth, entry) == 0)
		return *ret_able && entry->doubtful;
	return 1;
}

int
synq_auth_check(struct synq_auth *auth, struct synq_slice header,
    struct synq_auth_result *ret, synq_auth_fn *fn, void *ctx)
{
	struct synq_key_parts parts;
	struct proof proof;
	struct entry *entry;
	struct waiter *waiter;
	int able;

	ret->answer = read_header(header, &parts);
	if (ret->answer != SYNQ_AUTH_OK)
		return 1;
	synq_key_hash(auth->config.pepper, parts.secret, proof.hash);
	proof.live = parts.live;
	entry = entry_of(auth, parts.key_id);
	if (settle_now(auth, entry, &able)) {
		ret->answer = able
		                  ? decide(auth, entry, &proof, &ret->principal)
		                  : SYNQ_AUTH_UNABLE;
		if (!entry->loaded)
			entry_free(auth, entry);
		return 1;
	}
	waiter = synq_mem_new(sizeof(*waiter));
	waiter->proof = proof;
	waiter->fn = fn;
	waiter->ctx = ctx;
	synq_list_push(&entry->load->waiters, &waiter->link);
	return 0;
}

void
synq_auth_forget(struct synq_auth *auth, const void *ctx)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&auth->loads, link, after)
		load_forget(SYNQ_CONTAINER(link, struct load, link), ctx);
}

/* Nothing of ${entry} holds any more, unless it is revoked for good. */
static void
entry_outdate(struct synq_auth *auth, struct entry *entry, int revoked)
{
	if (revoked && entry->loaded)
		entry->row.revoked = 1;
	else
		entry->loaded = 0;
	if (entry->load != NULL)
		entry->load->outdated = 1;
	else if (!entry->loaded)
		entry_free(auth, entry);
}

void
synq_auth_changed(struct synq_auth *auth, struct synq_slice key_id, int revoked)
{
	struct entry *entry = synq_map_get(auth->map, key_id);

	if (entry != NULL)
		entry_outdate(auth, entry, revoked);
}

size_t
synq_auth_entries(const struct synq_auth *auth)
{
	return auth->entries.count;
}

void
synq_auth_flush(struct synq_auth *auth)
{
	struct synq_link *link;
	struct synq_link *after;

	synq_list_foreach (&auth->entries, link, after)
		entry_outdate(
		    auth, SYNQ_CONTAINER(link, struct entry, link), 0);
}
