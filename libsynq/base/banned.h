#ifndef SYNQ_BASE_BANNED_H
#define SYNQ_BASE_BANNED_H

/*
 * Functions that invite mistakes.  The build includes this header in front of
 * every file (-include), so that using one does not compile.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy sprintf vsprintf strtok atoi atol
#pragma GCC poison localtime gmtime gets

#endif
