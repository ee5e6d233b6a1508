/*
 * A URL is taken apart by libpq's own parser and only its host is looked at;
 * the rest goes to libpq as it is, with a few settings of ours behind it that
 * win over the URL's.
 *
 * libpq's messages about a bad string quote it, so they are not passed on.
 */

#include "pg/connect.h"

#include <arpa/inet.h>
#include <string.h>

/* Enough for any real address, and inet_pton needs a terminated text. */
#define HOST_MAX_CHARS 255

int
synq_pg_url_check(const char *url, struct synq_err *err)
{
	char *text = NULL;
	PQconninfoOption *options = PQconninfoParse(url, &text);
	int ok = options != NULL;

	PQconninfoFree(options);
	PQfreemem(text);
	if (ok)
		return 0;
	return synq_fail(err, SYNQ_E_CONFIG,
	    "the PostgreSQL URL is not a connection string of libpq");
}

/* 1 if ${hosts}, separated by commas, needs no name service, else 0. */
static int
is_numeric(const char *hosts)
{
	while (*hosts) {
		size_t chars = strcspn(hosts, ",");
		char host[HOST_MAX_CHARS + 1];
		unsigned char address[16];

		if (!chars || chars > HOST_MAX_CHARS)
			return 0;
		memcpy(host, hosts, chars);
		host[chars] = '\0';
		if (host[0] != '/' && inet_pton(AF_INET, host, address) != 1 &&
		    inet_pton(AF_INET6, host, address) != 1)
			return 0;
		hosts += chars;
		hosts += *hosts == ',';
	}
	return 1;
}

int
synq_pg_url_numeric(const char *url, struct synq_err *err)
{
	PQconninfoOption *options;
	const char *hosts = NULL;
	int rc = synq_pg_url_check(url, err);

	if (rc)
		return rc;
	options = PQconninfoParse(url, NULL);
	for (PQconninfoOption *at = options; at && at->keyword; at++) {
		if (!at->val || !at->val[0])
			continue;
		if (!strcmp(at->keyword, "hostaddr"))
			hosts = at->val;
		if (!strcmp(at->keyword, "host") && !hosts)
			hosts = at->val;
	}
	if (!hosts)
		rc = synq_fail(
		    err, SYNQ_E_CONFIG, "the PostgreSQL URL names no host");
	else if (!is_numeric(hosts))
		rc = synq_fail(err, SYNQ_E_CONFIG,
		    "the host in the PostgreSQL URL is not a numeric address");
	PQconninfoFree(options);
	return rc;
}

/* The server's notices are for people at a terminal; libpq prints them. */
static void
drop_notice(void *ctx, const PGresult *result)
{
	(void)ctx;
	(void)result;
}

PGconn *
synq_pg_connect(const char *url)
{
	/* Kerberos may wait for a name service. */
	static const char *const names[] = { "dbname", "client_encoding",
		"gssencmode", "fallback_application_name", NULL };
	const char *const values[] = { url, "UTF8", "disable", "synq", NULL };
	PGconn *handle = PQconnectStartParams(names, values, 1);

	/* The only way to learn the SQLSTATE of a refused connection. */
	(void)PQsetErrorVerbosity(handle, PQERRORS_VERBOSE);
	(void)PQsetNoticeReceiver(handle, drop_notice, NULL);
	return handle;
}
