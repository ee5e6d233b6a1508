#ifndef SYNQ_SERVICE_VERSION_H
#define SYNQ_SERVICE_VERSION_H

/*
 * The version of Synq: of all programs, they are released together.
 */

#define SYNQ_VERSION "0.1.0"

#endif
