/* TAP for tests in C: OK(condition, "what holds") and return tap_done(). */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef TEST_TAP_H
#define TEST_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int tap_count;
static int tap_failed;

__attribute__((format(printf, 4, 5), unused)) static bool
tap_ok(bool ok, const char *file, int line, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (char *s = text; *s; s++)
		if (*s == '\n' || *s == '\r')
			*s = '.'; /* one test, one line */
	printf("%sok %d - %s\n", ok ? "" : "not ", ++tap_count, text);
	if (!ok) {
		tap_failed++;
		printf("# failed at %s:%d\n", file, line);
	}
	fflush(stdout); /* before a crash eats it */
	return ok;
}

/* More lines about a failure. */
__attribute__((format(printf, 1, 2), unused)) static void
tap_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* A text of any number of lines, all of them comments. */
__attribute__((unused)) static void
tap_lines(const char *label, const char *text)
{
	printf("# %s", label);
	for (text = text ? text : "(null)"; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("#       ");
	}
	putchar('\n');
}

__attribute__((unused)) static bool
tap_str(const char *got, const char *want, const char *file, int line, const char *what)
{
	bool same = got && want ? strcmp(got, want) == 0 : got == want;

	if (!tap_ok(same, file, line, "%s", what)) {
		tap_lines("got:  ", got);
		tap_lines("want: ", want);
	}
	return same;
}

__attribute__((unused)) static bool
tap_int(long long got, long long want, const char *file, int line, const char *what)
{
	if (!tap_ok(got == want, file, line, "%s", what))
		tap_note("got: %lld, want: %lld", got, want);
	return got == want;
}

/* The plan, last, and the exit status. */
__attribute__((unused)) static int
tap_done(void)
{
	printf("1..%d\n", tap_count);
	return tap_failed ? 1 : 0;
}

#define OK(cond, ...) tap_ok((cond), __FILE__, __LINE__, __VA_ARGS__)
#define IS_STR(got, want, what) tap_str((got), (want), __FILE__, __LINE__, (what))
#define IS_INT(got, want, what) tap_int((got), (want), __FILE__, __LINE__, (what))

#endif
