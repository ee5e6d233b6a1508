#ifndef SYNQ_PROVIDER_OPENAI_H
#define SYNQ_PROVIDER_OPENAI_H

/*
 * The dialect of OpenAI and of all that is compatible with it.
 */

struct synq_dialect;

extern const struct synq_dialect synq_dialect_openai;

#endif
