/* What went wrong: filling struct err, and the exit code of each kind. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ini/ban.h"

static const unsigned char exit_code[] = {
	[ERR_NONE] = 0,
	[ERR_USAGE] = 1,
	[ERR_CONFIG] = 2,
	[ERR_STATE] = 3,
	[ERR_POSTGRES] = 4,
	[ERR_PGCTL] = 5,
	[ERR_MONITOR] = 6,
	[ERR_INIT] = 8,
	[ERR_SYSTEM] = 12,
	[ERR_DROPPED] = 121,
	[ERR_FATAL] = 122,
	[ERR_EXEC] = 127,
};
_Static_assert(sizeof exit_code == ERR_KIND_COUNT, "a kind of error has no exit code");

/* Cut text to fit in size with "..." behind it, not inside a UTF-8 character. */
static void
cut(char *text, size_t size)
{
	size_t at = size - 4;

	while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80)
		at--;
	memcpy(text + at, "...", 4);
}

static void
trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
}

__attribute__((format(printf, 3, 0))) static void
vput(char *out, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(out, size, fmt, ap);

	if (n < 0)
		out[0] = '\0';
	else if ((size_t)n >= size)
		cut(out, size);
	trim(out);
}

/* Append b to a, both strings, cutting at size. */
static void
append(char *a, size_t size, const char *b)
{
	size_t have = strlen(a);
	size_t more = strlen(b);
	bool fits = have + more < size;

	if (!fits)
		more = size - 1 - have;
	memcpy(a + have, b, more);
	a[have + more] = '\0';
	if (!fits)
		cut(a, size);
}

int
err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	char text[ERR_MSG]; /* an argument may be the old message */
	int saved = errno;
	va_list ap;

	assert(kind > ERR_NONE && kind < ERR_KIND_COUNT);
	if (e) {
		va_start(ap, fmt);
		vput(text, sizeof text, fmt, ap);
		va_end(ap);
		err_clear(e);
		e->kind = kind;
		memcpy(e->msg, text, sizeof e->msg);
	}
	errno = saved;
	return -1;
}

int
err_sys(struct err *e, const char *fmt, ...)
{
	char text[ERR_MSG];
	int saved = errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vput(text, sizeof text, fmt, ap);
		va_end(ap);
		append(text, sizeof text, ": ");
		append(text, sizeof text, strerror(saved));
		err_clear(e);
		e->kind = ERR_SYSTEM;
		memcpy(e->msg, text, sizeof e->msg);
	}
	errno = saved;
	return -1;
}

int
err_wrap(struct err *e, const char *fmt, ...)
{
	char text[ERR_MSG];
	int saved = errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vput(text, sizeof text, fmt, ap);
		va_end(ap);
		append(text, sizeof text, ": ");
		append(text, sizeof text, e->msg);
		memcpy(e->msg, text, sizeof e->msg);
		if (e->kind == ERR_NONE)
			e->kind = ERR_SYSTEM; /* a forgotten err_set must not exit 0 */
	}
	errno = saved;
	return -1;
}

int
err_detail(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vput(e->detail, sizeof e->detail, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return -1;
}

int
err_hint(struct err *e, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (e) {
		va_start(ap, fmt);
		vput(e->hint, sizeof e->hint, fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return -1;
}

void
err_clear(struct err *e)
{
	if (e)
		*e = (struct err){ .kind = ERR_NONE };
}

int
err_exit(const struct err *e)
{
	assert(e->kind < ERR_KIND_COUNT);
	return exit_code[e->kind];
}
