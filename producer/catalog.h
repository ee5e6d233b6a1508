#ifndef SYNQ_INTAKE_CATALOG_H
#define SYNQ_INTAKE_CATALOG_H

/*
 * The models from PostgreSQL, read again when they are old or synq.control says
 * that they changed; the last copy is kept while PostgreSQL is gone.
 */

struct intake;

/* Load now, unless a load is running. */
void catalog_load(struct intake *intake);

/* The models changed: load now, or once more after the load that is running. */
void catalog_changed(struct intake *intake);

#endif
