#ifndef SYNQ_FAULT_SWITCHES_H
#define SYNQ_FAULT_SWITCHES_H

/*
 * What the harness switches in the programs that it watches while they run: a
 * file that the harness writes and interpose.c maps.  tests/fault/switches.py
 * writes the same layout.
 */

#include <stdint.h>

#define SWITCHES_MAGIC 0x31746c756166ULL
#define SWITCHES_PROGRAMS 32
#define SWITCHES_ROUTES 8

/* Connections to loopback's port from_port go to to_port; from_port 0: none. */
struct switches_route {
	uint16_t from_port;
	uint16_t to_port;
};

struct switches_program {
	char name[32];         /* as --name says; empty: none */
	int64_t clock_step_us; /* added to the wall clock */
	uint32_t disk_full;    /* 1 = writing to files fails */
	uint32_t reserved;
	struct switches_route routes[SWITCHES_ROUTES];
};

struct switches {
	uint64_t magic;
	struct switches_program programs[SWITCHES_PROGRAMS];
};

#endif
