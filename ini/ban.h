/* What must not be used: the last #include of every .c file. */
/* SPDX-License-Identifier: PostgreSQL */

#ifndef INI_BAN_H
#define INI_BAN_H

/* libc has some of them as macros, which clang does not like to see poisoned */
#undef sprintf
#undef vsprintf
#undef strdup
#undef strndup
#undef asprintf
#undef vasprintf
#undef strncpy
#undef strcpy
#undef strcat
#undef strncat

/* unbounded or silently cutting */
#pragma GCC poison strcpy strcat strncpy strncat strtok sprintf vsprintf gets
/* no errors, or a shell, or static storage, or a race */
#pragma GCC poison atoi atol atof system popen mktemp tmpnam localtime gmtime ctime
/* signals are sigaction's, naps are clock.h's */
#pragma GCC poison signal sleep usleep
/* mem.h has these with an answer to failure */
#ifndef BAN_MEM_IS_ME
#pragma GCC poison malloc calloc realloc strdup strndup asprintf vasprintf
#endif

#endif
