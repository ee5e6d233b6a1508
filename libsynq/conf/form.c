#include <arpa/inet.h>
#include <string.h>

#include "conf/inner.h"

/*
 * The forms of the few texts that have one.  An empty text always means "not
 * set" and is right.
 */

static int
is_port(const char *text, size_t bytes)
{
	uint64_t port;

	return synq_slice_u64(synq_slice_of(text, bytes), 65535, &port) == 0 &&
	       port > 0;
}

static int
is_numeric(const char *text, size_t bytes)
{
	unsigned char address[16];
	char copy[64];

	if (bytes >= sizeof(copy))
		return 0;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	return inet_pton(AF_INET, copy, address) == 1 ||
	       inet_pton(AF_INET6, copy, address) == 1;
}

/* The colon before the port in the ${bytes} bytes at ${text}, or NULL. */
static const char *
port_colon(const char *text, size_t bytes)
{
	const char *colon = memrchr(text, ':', bytes);

	if (colon == NULL || colon == text ||
	    !is_port(colon + 1, (size_t)(text + bytes - colon) - 1))
		return NULL;
	return colon;
}

static const char *
brokers_form(const char *text)
{
	while (*text != '\0') {
		size_t bytes = strcspn(text, ",");

		if (port_colon(text, bytes) == NULL || strchr(text, ' '))
			return "a list host:port,host:port";
		text += bytes;
		if (*text == ',' && *++text == '\0')
			return "a list host:port,host:port";
	}
	return NULL;
}

static const char *
address_form(const char *text)
{
	const char *colon = port_colon(text, strlen(text));
	size_t bytes;

	if (colon == NULL)
		return "host:port";
	bytes = (size_t)(colon - text);
	if (bytes > 2 && text[0] == '[' && text[bytes - 1] == ']') {
		text++;
		bytes -= 2;
	}
	if (!is_numeric(text, bytes))
		return "host:port with a numeric address (names would block)";
	return NULL;
}

static const char *
url_form(const char *text)
{
	static const char wanted[] =
	    "host=ADDRESS port=PORT dbname=NAME with a numeric address";

	if (strstr(text, "user=") != NULL || strstr(text, "password=") != NULL)
		return "without user and password: each program logs in as "
		       "its own role, passwords lie in secrets/";
	if (strstr(text, "dbname=") == NULL)
		return wanted;
	text = strstr(text, "host=");
	if (text == NULL)
		return wanted;
	text += strlen("host=");
	return is_numeric(text, strcspn(text, " ")) ? NULL : wanted;
}

const char *
conf_form(const struct synq_option *option, const char *text)
{
	static const struct {
		const char *section;
		const char *name;
		const char *(*check)(const char *text);
	} forms[] = {
		{ "kafka", "brokers", brokers_form },
		{ "pg", "url", url_form },
		{ "redis", "address", address_form },
	};
	size_t i;

	if (text[0] == '\0')
		return NULL;
	if (strcmp(option->section, "intake") == 0 &&
	    !is_numeric(text, strlen(text)))
		return "a numeric address such as 127.0.0.1 or ::";
	for (i = 0; i < SYNQ_COUNT(forms); i++) {
		if (strcmp(option->section, forms[i].section) == 0 &&
		    strcmp(option->name, forms[i].name) == 0)
			return forms[i].check(text);
	}
	return NULL;
}
