/* Memory that is either there or ends the process. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_MEM_H
#define INI_MEM_H

#include <stddef.h>

/* Never NULL; free() what they return. A supervisor restarts us, so there is one answer
 * to an empty machine and no half-handled one. */
void *xmalloc(size_t) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *, size_t) __attribute__((returns_nonnull));
char *xstrdup(const char *) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

/* Print "autoctl: text" and exit 12: only for the impossible. */
void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
