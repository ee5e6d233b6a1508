/*
 * An address is a key of 16 bytes: the network of an IPv6 address (whoever has
 * one address of a /64 has all), the last four bytes of an IPv4 address.  An
 * IPv4 address that came over an IPv6 socket counts as what it is.
 */

#include "httpd/address.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/slice.h"

static struct synq_slice
key_of(const struct synq_httpd_address *address)
{
	return synq_slice_of(address->key, sizeof(address->key));
}

/* The four bytes of ${from} if it is an IPv4 address in any form, or NULL. */
static const uint8_t *
four_bytes(const struct sockaddr *from)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	const struct sockaddr_in *v4 = (const void *)from;
	const struct sockaddr_in6 *v6 = (const void *)from;

	if (from->sa_family == AF_INET)
		return (const void *)&v4->sin_addr;
	if (memcmp(v6->sin6_addr.s6_addr, mapped, sizeof(mapped)) == 0)
		return v6->sin6_addr.s6_addr + sizeof(mapped);
	return NULL;
}

struct synq_httpd_address *
synq_httpd_enter(struct synq_map *addresses, const struct sockaddr *from)
{
	struct synq_httpd_address wanted = { .count = 0 };
	const struct sockaddr_in6 *v6 = (const void *)from;
	const uint8_t *four = four_bytes(from);
	struct synq_httpd_address *address;

	if (four)
		memcpy(wanted.key + 12, four, 4);
	else
		memcpy(wanted.key, &v6->sin6_addr, 8);
	address = synq_map_get(addresses, key_of(&wanted));
	if (!address) {
		address = synq_mem_new(sizeof(*address));
		*address = wanted;
		synq_map_set(addresses, key_of(address), address);
	}
	address->count++;
	return address;
}

void
synq_httpd_leave(struct synq_map *addresses, struct synq_httpd_address **ptr)
{
	struct synq_httpd_address *address = *ptr;

	*ptr = NULL;
	if (!address || --address->count > 0)
		return;
	synq_map_remove(addresses, key_of(address));
	synq_mem_free(address);
}

void
synq_httpd_peer(const struct sockaddr *from, char ret[INET6_ADDRSTRLEN])
{
	const struct sockaddr_in6 *v6 = (const void *)from;
	const uint8_t *four = four_bytes(from);

	if (four)
		inet_ntop(AF_INET, four, ret, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, &v6->sin6_addr, ret, INET6_ADDRSTRLEN);
}
