#ifndef SYNQ_CRYPTO_SECRET_H
#define SYNQ_CRYPTO_SECRET_H

/*
 * Secrets: bytes in guarded memory that erase themselves and have no printer.
 * The type is opaque, so that no formatter, log or event can take one.
 * This folder is the only one that sees libsodium.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_secret;

/*
 * Start the library and switch core dumps and tracing of this process off.
 * Once, before anything else here.  With SYNQ_DUMPABLE in the environment
 * (tests and debuggers that look into /proc/PID) tracing stays possible.
 * Error: SYSTEM.
 */
SYNQ_MUST_CHECK int synq_crypto_init(struct synq_err *err);

/* A secret that holds a copy of ${bytes}; the caller frees it. */
struct synq_secret *synq_secret_new(struct synq_slice bytes);

/*
 * A secret of ${bytes} random bytes, the last of which is no white space, so
 * that it can be saved and loaded; the caller frees it.
 */
struct synq_secret *synq_secret_random(size_t bytes);

/*
 * The secret in the file ${path}, white space at its end cut off, at most
 * 4,096 bytes.  The file must not be open to others (mode & 077 = 0).
 * Errors: SYSTEM, DENIED, TOO_LARGE, NOT_FOUND.
 */
SYNQ_MUST_CHECK int synq_secret_load(
    const char *path, struct synq_secret **ret, struct synq_err *err);

/*
 * Write ${secret} to the new file ${path} with mode 0600, synced.  An existing
 * file is never replaced.  Errors: SYSTEM, CONFLICT, INVALID for one that
 * would not load again (empty, too large, white space at its end).
 */
SYNQ_MUST_CHECK int synq_secret_save(
    const char *path, const struct synq_secret *secret, struct synq_err *err);

/* Erase and free *${secret}; sets it to NULL. */
void synq_secret_free(struct synq_secret **secret);

/* The bytes of ${secret}, for the moment of their use; never to be kept. */
struct synq_slice synq_secret_view(const struct synq_secret *secret);

/* Overwrite ${bytes} bytes at ${data} so that no compiler leaves it out. */
void synq_secret_erase(void *data, size_t bytes);

#endif
