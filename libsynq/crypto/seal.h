#ifndef SYNQ_CRYPTO_SEAL_H
#define SYNQ_CRYPTO_SEAL_H

/*
 * Sealing of small secrets at rest (provider keys): envelope encryption.  A
 * fresh data key per value, wrapped by the key-encryption key; XChaCha20-
 * Poly1305 with a commitment to the key in front (libsodium manual: Poly1305
 * does not commit).  What the value belongs to is bound in as additional data,
 * so that a sealed value moved to another row does not open.
 *
 * Form: "v1.<kek id>.<wrapped data key>.<sealed value>", base64url parts.
 */

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"

struct synq_secret;

/*
 * Seal ${plain} with the 32-byte ${kek} whose id is ${kek_id} (1..n), bound to
 * ${context} (as "provider:<uuid>"), appending the text form to ${out}.
 * Error: TOO_LARGE above 4,096 bytes.
 */
SYNQ_MUST_CHECK int synq_seal(const struct synq_secret *kek, uint32_t kek_id,
    struct synq_slice context, struct synq_slice plain, struct synq_buf *out);

/* The kek id inside the sealed ${text}, into ${ret}.  Error: CORRUPT. */
SYNQ_MUST_CHECK int synq_seal_kek_id(struct synq_slice text, uint32_t *ret);

/*
 * Open the sealed ${text} with ${kek} and ${context} into the new secret
 * ${ret}.  Error: CORRUPT, whatever is wrong.
 */
SYNQ_MUST_CHECK int synq_unseal(const struct synq_secret *kek,
    struct synq_slice context, struct synq_slice text,
    struct synq_secret **ret);

#endif
