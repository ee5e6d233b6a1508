#ifndef CTL_UP_FILE_H
#define CTL_UP_FILE_H

/*
 * Small files of the installation: JSON notes that synq itself wrote.
 */

#include "base/attr.h"
#include "base/err.h"
#include "base/slice.h"
#include "json/scan.h"

/*
 * Read the file ${path} into ${text}, whose maximum bounds it.  Errors:
 * NOT_FOUND, SYSTEM, TOO_LARGE.
 */
SYNQ_MUST_CHECK int file_read(
    const char *path, struct synq_buf *text, struct synq_err *err);

/*
 * Read the JSON file ${path} into ${text} and its value, which borrows that,
 * into ${ret}.  Errors as file_read, CORRUPT.
 */
SYNQ_MUST_CHECK int file_read_json(const char *path, struct synq_buf *text,
    struct synq_json *ret, struct synq_err *err);

#endif
