/* Hashes against the values of RFC 7693, RFC 4231, FIPS 180-4 and the BLAKE2
 * reference. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/slice.h"
#include "codec/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

static void
expect_hex(const uint8_t *bytes, size_t count, const char *hex)
{
	struct synq_buf out;

	synq_buf_init(&out, 1000);
	synq_hex_encode(&out, synq_slice_of(bytes, count));
	assert_string_equal(out.data, hex);
	synq_buf_done(&out);
}

/* A key of ${bytes} bytes: 0, 1, 2... */
static struct synq_secret *
counting_key(size_t bytes)
{
	uint8_t key[64];

	for (size_t i = 0; i < bytes; i++)
		key[i] = (uint8_t)i;
	return synq_secret_new(synq_slice_of(key, bytes));
}

static void
test_blake2b_has_the_known_values(void **state)
{
	struct synq_secret *key = counting_key(64);
	uint8_t input[255];
	uint8_t hash[64];

	(void)state;
	synq_hash(NULL, synq_slice_text("abc"), hash, 64);
	expect_hex(hash, 64,
	    "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
	    "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd400992"
	    "3");
	synq_hash(NULL, synq_slice_text("abc"), hash, 16);
	expect_hex(hash, 16, "cf4ab791c62b8d2b2109c90275287816");

	synq_hash(key, synq_slice_text(NULL), hash, 64);
	expect_hex(hash, 64,
	    "10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786"
	    "b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc5156"
	    "8");
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)i;
	synq_hash(key, synq_slice_of(input, sizeof(input)), hash, 64);
	expect_hex(hash, 64,
	    "142709d62e28fcccd0af97fad0f8465b971e82201dc51070faa0372aa43e9248"
	    "4be1c1e73ba10906d5d1853db6a4106e0a7bf9800d373d6dee2d46d62ef2a46"
	    "1");
	synq_secret_free(&key);

	key = counting_key(32);
	synq_hash(key, synq_slice_text("abc"), hash, 32);
	expect_hex(hash, 32,
	    "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7"
	    "f");
	synq_secret_free(&key);
}

static void
test_sha256_has_the_known_values(void **state)
{
	static char as[1000000];
	uint8_t hash[32];

	(void)state;
	synq_sha256(synq_slice_text(NULL), hash);
	expect_hex(hash, 32,
	    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85"
	    "5");
	synq_sha256(synq_slice_text("abc"), hash);
	expect_hex(hash, 32,
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a"
	    "d");
	memset(as, 'a', sizeof(as));
	synq_sha256(synq_slice_of(as, sizeof(as)), hash);
	expect_hex(hash, 32,
	    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd"
	    "0");
}

struct hmac_case {
	unsigned key_bytes;
	unsigned key_byte; /* 0 = counting from 1 */
	unsigned data_bytes;
	unsigned data_byte; /* used if there is no text */
	const char *text;
	const char *hex;
};

/* RFC 4231, cases 1, 3, 4, 6 and 7; case 2 stands below. */
static const struct hmac_case hmac_cases[] = {
	{ 20, 0x0b, 0, 0, "Hi There",
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff"
	    "7" },
	{ 20, 0xaa, 50, 0xdd, NULL,
	    "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565f"
	    "e" },
	{ 25, 0, 50, 0xcd, NULL,
	    "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665"
	    "b" },
	{ 131, 0xaa, 0, 0,
	    "Test Using Larger Than Block-Size Key - Hash Key First",
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f5"
	    "4" },
	{ 131, 0xaa, 0, 0,
	    "This is a test using a larger than block-size key and a larger "
	    "than block-size data. The key needs to be hashed before being "
	    "used by the HMAC algorithm.",
	    "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e"
	    "2" },
};

static void
test_hmac_has_the_known_values(void **state)
{
	struct synq_secret *jefe = synq_secret_new(synq_slice_text("Jefe"));
	uint8_t hash[32];

	(void)state;
	synq_hmac_sha256(
	    jefe, synq_slice_text("what do ya want for nothing?"), hash);
	expect_hex(hash, 32,
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec384"
	    "3");
	synq_secret_free(&jefe);

	for (size_t i = 0; i < SYNQ_COUNT(hmac_cases); i++) {
		const struct hmac_case *c = &hmac_cases[i];
		struct synq_secret *secret;
		uint8_t key[131];
		uint8_t data[50];

		for (size_t k = 0; k < c->key_bytes; k++)
			key[k] = (uint8_t)(c->key_byte ? c->key_byte : k + 1);
		memset(data, (int)c->data_byte, sizeof(data));
		secret = synq_secret_new(synq_slice_of(key, c->key_bytes));
		synq_hmac_sha256(secret,
		    c->text ? synq_slice_text(c->text)
			    : synq_slice_of(data, c->data_bytes),
		    hash);
		expect_hex(hash, 32, c->hex);
		synq_secret_free(&secret);
	}
}

static void
test_hash_equal_sees_every_bit(void **state)
{
	uint8_t a[32];
	uint8_t b[32];

	(void)state;
	memset(a, 0x5a, sizeof(a));
	memcpy(b, a, sizeof(b));
	assert_int_equal(synq_hash_equal(a, b, sizeof(a)), 1);
	for (unsigned bit = 0; bit < 256; bit++) {
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(synq_hash_equal(a, b, sizeof(a)), 0);
		b[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_int_equal(synq_hash_equal(a, b, 0), 1);
}

static void
test_crc32_has_the_known_values(void **state)
{
	(void)state;
	assert_int_equal(synq_crc32(synq_slice_text("123456789")), 0xcbf43926);
	assert_int_equal(synq_crc32(synq_slice_text("")), 0);
	assert_int_equal(synq_crc32(synq_slice_text("a")), 0xe8b7be43);
	assert_int_equal(synq_crc32(synq_slice_text(
			     "The quick brown fox jumps over the lazy dog")),
	    0x414fa339);
}

static int
setup(void **state)
{
	(void)state;
	return synq_crypto_init(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_blake2b_has_the_known_values),
		cmocka_unit_test(test_sha256_has_the_known_values),
		cmocka_unit_test(test_hmac_has_the_known_values),
		cmocka_unit_test(test_hash_equal_sees_every_bit),
		cmocka_unit_test(test_crc32_has_the_known_values),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
