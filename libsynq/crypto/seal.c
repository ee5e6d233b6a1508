/*
 * Sealing: a fresh data key seals the value, the key-encryption key seals the
 * data key, both become base64url.  Opening goes the other way.
 *
 * One layer is a box:
 *
 *	nonce (24) | commitment (32) | XChaCha20-Poly1305 (plain + 16)
 *
 * BLAKE2b-512, keyed with the layer's key, of "synq.seal.v1" and the nonce
 * gives the key of the cipher (first half) and the commitment (second half).
 * Finding two keys with the same commitment is finding a collision of BLAKE2b,
 * so a box opens under the one key that sealed it, whatever Poly1305 allows.
 *
 * Additional data of the data key's box is "v1.<kek id>.key.<context>", of the
 * value's box "v1.value.<context>".  The kek id is left out of the second, so
 * that a new key-encryption key needs only the data key to be wrapped again.
 *
 * What fails: opening, always as CORRUPT, whether the form, the key, the
 * context or a bit is wrong; the caller learns no more.  Keys and plain text
 * on the stack are erased on every way out.
 */

#include "crypto/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/mem.h"
#include "codec/text.h"
#include "crypto/secret.h"

#define KEY_BYTES crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_BYTES crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_BYTES crypto_aead_xchacha20poly1305_ietf_ABYTES
#define COMMIT_BYTES 32
#define BOX_EXTRA_BYTES (NONCE_BYTES + COMMIT_BYTES + TAG_BYTES)

#define MAX_PLAIN_BYTES 4096
#define MAX_BOX_BYTES (MAX_PLAIN_BYTES + BOX_EXTRA_BYTES)

/* What a box is derived from and bound to. */
struct lock {
	const unsigned char *key; /* KEY_BYTES, borrowed */
	struct synq_slice label;  /* additional data, borrowed */
};

struct derived {
	unsigned char key[KEY_BYTES];
	unsigned char commit[COMMIT_BYTES];
};

static void
derive(
    struct derived *ret, const unsigned char *key, const unsigned char *nonce)
{
	static const char domain[] = "synq.seal.v1";
	unsigned char input[sizeof(domain) - 1 + NONCE_BYTES];

	_Static_assert(sizeof(*ret) == crypto_generichash_BYTES_MAX,
	    "one hash gives both halves");
	memcpy(input, domain, sizeof(domain) - 1);
	memcpy(input + sizeof(domain) - 1, nonce, NONCE_BYTES);
	crypto_generichash((unsigned char *)ret, sizeof(*ret), input,
	    sizeof(input), key, KEY_BYTES);
}

/* Write the box of ${plain} to ${ret}, which has BOX_EXTRA_BYTES more. */
static void
box_seal(const struct lock *lock, struct synq_slice plain, unsigned char *ret)
{
	unsigned char *nonce = ret;
	unsigned char *commit = nonce + NONCE_BYTES;
	struct derived derived;

	randombytes_buf(nonce, NONCE_BYTES);
	derive(&derived, lock->key, nonce);
	memcpy(commit, derived.commit, COMMIT_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(commit + COMMIT_BYTES, NULL,
	    (const unsigned char *)plain.data, plain.bytes,
	    (const unsigned char *)lock->label.data, lock->label.bytes, NULL,
	    nonce, derived.key);
	synq_secret_erase(&derived, sizeof(derived));
}

/* Write what ${box} holds, BOX_EXTRA_BYTES less, to ${ret}. */
static int
box_open(const struct lock *lock, struct synq_slice box, unsigned char *ret)
{
	const unsigned char *nonce = (const unsigned char *)box.data;
	const unsigned char *commit = nonce + NONCE_BYTES;
	struct derived derived;
	int rc = -SYNQ_E_CORRUPT;

	if (box.bytes < BOX_EXTRA_BYTES)
		return -SYNQ_E_CORRUPT;
	derive(&derived, lock->key, nonce);
	if (sodium_memcmp(derived.commit, commit, COMMIT_BYTES) == 0 &&
	    crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL,
		commit + COMMIT_BYTES, box.bytes - NONCE_BYTES - COMMIT_BYTES,
		(const unsigned char *)lock->label.data, lock->label.bytes,
		nonce, derived.key) == 0)
		rc = 0;
	synq_secret_erase(&derived, sizeof(derived));
	return rc;
}

/* What both boxes are bound to. */
struct labels {
	struct synq_buf key;
	struct synq_buf value;
};

static void
labels_init(struct labels *labels, uint32_t kek_id, struct synq_slice context)
{
	synq_buf_init(&labels->key, context.bytes + 32);
	synq_buf_printf(&labels->key, "v1.%u.key.", kek_id);
	synq_buf_slice(&labels->key, context);
	synq_buf_init(&labels->value, context.bytes + 32);
	synq_buf_text(&labels->value, "v1.value.");
	synq_buf_slice(&labels->value, context);
}

static void
labels_done(struct labels *labels)
{
	synq_buf_done(&labels->key);
	synq_buf_done(&labels->value);
}

/* The text form; nothing stays in ${out} if it does not fit. */
static int
form_write(struct synq_buf *out, uint32_t kek_id, struct synq_slice key_box,
    struct synq_slice value_box)
{
	size_t before = out->bytes;

	if (synq_buf_printf(out, "v1.%u.", kek_id) == 0 &&
	    synq_base64url_encode(out, key_box) == 0 &&
	    synq_buf_char(out, '.') == 0 &&
	    synq_base64url_encode(out, value_box) == 0)
		return 0;
	if (out->data != NULL) {
		out->bytes = before;
		out->data[before] = '\0';
	}
	return -SYNQ_E_TOO_LARGE;
}

int
synq_seal(const struct synq_secret *kek, uint32_t kek_id,
    struct synq_slice context, struct synq_slice plain, struct synq_buf *out)
{
	unsigned char data_key[KEY_BYTES];
	unsigned char key_box[KEY_BYTES + BOX_EXTRA_BYTES];
	unsigned char value_box[MAX_BOX_BYTES];
	struct synq_slice outer = synq_secret_view(kek);
	struct labels labels;

	assert(outer.bytes == KEY_BYTES && kek_id > 0);
	if (plain.bytes > MAX_PLAIN_BYTES)
		return -SYNQ_E_TOO_LARGE;

	labels_init(&labels, kek_id, context);
	randombytes_buf(data_key, sizeof(data_key));
	box_seal(&(struct lock){ data_key, synq_buf_view(&labels.value) },
	    plain, value_box);
	box_seal(&(struct lock){ (const unsigned char *)outer.data,
		     synq_buf_view(&labels.key) },
	    synq_slice_of(data_key, sizeof(data_key)), key_box);
	synq_secret_erase(data_key, sizeof(data_key));
	labels_done(&labels);

	return form_write(out, kek_id, synq_slice_of(key_box, sizeof(key_box)),
	    synq_slice_of(value_box, plain.bytes + BOX_EXTRA_BYTES));
}

/* The parts of the text form, still base64url. */
struct form {
	uint32_t kek_id;
	struct synq_slice key_box;
	struct synq_slice value_box;
};

/* Take the part before the next '.' off *${text}, and the '.'. */
static struct synq_slice
form_part(struct synq_slice *text)
{
	const char *dot =
	    text->bytes > 0 ? memchr(text->data, '.', text->bytes) : NULL;
	struct synq_slice part = *text;

	if (dot == NULL) {
		*text = (struct synq_slice){ .bytes = 0 };
		return part;
	}
	part.bytes = (size_t)(dot - part.data);
	text->data = dot + 1;
	text->bytes -= part.bytes + 1;
	return part;
}

static int
form_read(struct synq_slice text, struct form *ret)
{
	uint64_t kek_id;

	if (!synq_slice_is(form_part(&text), "v1"))
		return -SYNQ_E_CORRUPT;
	struct synq_slice id = form_part(&text);
	if (synq_slice_u64(id, UINT32_MAX, &kek_id) != 0 ||
	    synq_slice_starts(id, "0"))
		return -SYNQ_E_CORRUPT;

	ret->kek_id = (uint32_t)kek_id;
	ret->key_box = form_part(&text);
	/* A further '.' is no base64url, so it does not open. */
	ret->value_box = text;
	return 0;
}

int
synq_seal_kek_id(struct synq_slice text, uint32_t *ret)
{
	struct form form;

	if (form_read(text, &form) != 0 || form.key_box.bytes == 0 ||
	    form.value_box.bytes == 0)
		return -SYNQ_E_CORRUPT;
	*ret = form.kek_id;
	return 0;
}

/* Open both boxes into the MAX_PLAIN_BYTES at ${plain}. */
static int
boxes_open(const unsigned char *kek, const struct labels *labels,
    struct synq_slice key_box, struct synq_slice value_box,
    unsigned char *plain)
{
	unsigned char data_key[KEY_BYTES];
	int rc = -SYNQ_E_CORRUPT;

	if (key_box.bytes == KEY_BYTES + BOX_EXTRA_BYTES)
		rc =
		    box_open(&(struct lock){ kek, synq_buf_view(&labels->key) },
			key_box, data_key);
	if (rc == 0)
		rc = box_open(
		    &(struct lock){ data_key, synq_buf_view(&labels->value) },
		    value_box, plain);
	synq_secret_erase(data_key, sizeof(data_key));
	return rc;
}

int
synq_unseal(const struct synq_secret *kek, struct synq_slice context,
    struct synq_slice text, struct synq_secret **ret)
{
	unsigned char plain[MAX_PLAIN_BYTES];
	struct synq_slice outer = synq_secret_view(kek);
	struct labels labels;
	struct synq_buf key_box;
	struct synq_buf value_box;
	struct form form;
	int rc = -SYNQ_E_CORRUPT;

	if (outer.bytes != KEY_BYTES || form_read(text, &form) != 0)
		return -SYNQ_E_CORRUPT;

	labels_init(&labels, form.kek_id, context);
	synq_buf_init(&key_box, KEY_BYTES + BOX_EXTRA_BYTES);
	synq_buf_init(&value_box, MAX_BOX_BYTES);
	if (synq_base64url_decode(&key_box, form.key_box) == 0 &&
	    synq_base64url_decode(&value_box, form.value_box) == 0)
		rc = boxes_open((const unsigned char *)outer.data, &labels,
		    synq_buf_view(&key_box), synq_buf_view(&value_box), plain);
	if (rc == 0)
		*ret = synq_secret_new(
		    synq_slice_of(plain, value_box.bytes - BOX_EXTRA_BYTES));

	synq_secret_erase(plain, sizeof(plain));
	synq_buf_done(&key_box);
	synq_buf_done(&value_box);
	labels_done(&labels);
	return rc == 0 ? 0 : -SYNQ_E_CORRUPT;
}
