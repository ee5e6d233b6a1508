#ifndef SYNQ_HTTPD_ADDRESS_H
#define SYNQ_HTTPD_ADDRESS_H

/*
 * Where connections come from: as text, and how many there are from one
 * address, so that none takes all.
 */

#include <netinet/in.h>
#include <stdint.h>

struct sockaddr;
struct synq_map;

/* How many connections there are from one address (IPv6: one /64). */
struct synq_httpd_address {
	uint8_t key[16];
	uint32_t count;
};

/* Count one more connection of ${from} in ${addresses}; returns the count. */
struct synq_httpd_address *synq_httpd_enter(
    struct synq_map *addresses, const struct sockaddr *from);

/* *${ptr}, of ${addresses}, has one connection less, and becomes NULL;
 * NULL is fine. */
void synq_httpd_leave(
    struct synq_map *addresses, struct synq_httpd_address **ptr);

/* Write ${from} as text to ${ret}, an IPv4 address as such however it came. */
void synq_httpd_peer(const struct sockaddr *from, char ret[INET6_ADDRSTRLEN]);

#endif
