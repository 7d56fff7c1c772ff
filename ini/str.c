/* Strict readers of short texts: numbers, booleans, durations, sizes, names. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/str.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "ini/err.h"

#include "ini/ban.h"

struct unit {
	const char *name;
	int64_t factor;
};

/* Digits at *s, moved past them. -1: none there, or more than max. */
static int
digits(const char **s, uint64_t max, uint64_t *out)
{
	const char *at = *s;
	uint64_t v = 0;

	if (*at < '0' || *at > '9')
		return -1;
	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned d = (unsigned)(*at - '0');

		if (v > max / 10 || v * 10 > max - d)
			return -1;
		v = v * 10 + d;
	}
	*s = at;
	*out = v;
	return 0;
}

int
str_i64(const char *s, int64_t *out, struct err *e)
{
	const char *at = s;
	bool minus = *at == '-';
	uint64_t v;

	at += *at == '-' || *at == '+';
	if (digits(&at, minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX, &v) || *at)
		return err_set(e, ERR_USAGE, "\"%s\" is not a whole number", s);
	*out = minus ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

int
str_u64(const char *s, uint64_t *out, struct err *e)
{
	const char *at = s;
	uint64_t v;

	if (digits(&at, UINT64_MAX, &v) || *at)
		return err_set(e, ERR_USAGE, "\"%s\" is not a whole number from 0 up", s);
	*out = v;
	return 0;
}

int
str_int_between(const char *s, int min, int max, int *out, struct err *e)
{
	int64_t v;

	if (str_i64(s, &v, NULL))
		return err_set(e, ERR_USAGE, "\"%s\" is not a whole number", s);
	if (v < min || v > max)
		return err_set(e, ERR_USAGE, "%s is not between %d and %d", s, min, max);
	*out = (int)v;
	return 0;
}

int
str_int(const char *s, int *out, struct err *e)
{
	return str_int_between(s, INT_MIN, INT_MAX, out, e);
}

int
str_bool(const char *s, bool *out, struct err *e)
{
	static const struct {
		const char *word;
		size_t least; /* shortest prefix that is unique */
		bool value;
	} words[] = {
		{ "true", 1, true },
		{ "false", 1, false },
		{ "yes", 1, true },
		{ "no", 1, false },
		{ "on", 2, true },
		{ "off", 2, false },
		{ "1", 1, true },
		{ "0", 1, false },
	};
	size_t n = strlen(s);

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (n >= words[i].least && n <= strlen(words[i].word) &&
		    strncasecmp(s, words[i].word, n) == 0) {
			*out = words[i].value;
			return 0;
		}
	return err_set(e, ERR_USAGE, "\"%s\" is not a boolean (true or false)", s);
}

/* "<digits><unit>"; no unit is worth bare. */
static int
with_unit(const char *s, const struct unit *units, int64_t bare, int64_t *out)
{
	int64_t factor = 0;
	const char *at = s;
	uint64_t v;

	if (digits(&at, INT64_MAX, &v))
		return -1;
	if (*at == '\0')
		factor = bare;
	for (; *at && units->name; units++)
		if (strcmp(at, units->name) == 0)
			factor = units->factor;
	if (factor == 0 || v > (uint64_t)(INT64_MAX / factor))
		return -1;
	*out = (int64_t)v * factor;
	return 0;
}

int
str_ms(const char *s, int64_t unit_ms, int64_t *ms, struct err *e)
{
	static const struct unit units[] = {
		{ "ms", 1 },
		{ "s", 1000 },
		{ "min", 60000 },
		{ "h", 3600000 },
		{ "d", 86400000 },
		{ NULL, 0 },
	};

	if (with_unit(s, units, unit_ms, ms))
		return err_set(e, ERR_USAGE,
		    "\"%s\" is not a duration (a number with ms, s, min, h or d)", s);
	return 0;
}

int
str_bytes(const char *s, int64_t *bytes, struct err *e)
{
	static const struct unit units[] = {
		{ "B", 1 },
		{ "k", 1 << 10 },
		{ "kB", 1 << 10 },
		{ "M", 1 << 20 },
		{ "MB", 1 << 20 },
		{ "G", 1 << 30 },
		{ "GB", 1 << 30 },
		{ "T", (int64_t)1 << 40 },
		{ "TB", (int64_t)1 << 40 },
		{ NULL, 0 },
	};

	if (with_unit(s, units, 1, bytes))
		return err_set(e, ERR_USAGE,
		    "\"%s\" is not a size (a number with B, kB, MB, GB or TB)", s);
	return 0;
}

/* One to eight hex digits at *s. */
static int
hex32(const char **s, uint32_t *out)
{
	static const char set[] = "0123456789abcdefABCDEF";
	size_t n = strspn(*s, set);
	uint32_t v = 0;

	if (n == 0 || n > 8)
		return -1;
	for (size_t i = 0; i < n; i++) {
		unsigned d = (unsigned)(strchr(set, (*s)[i]) - set);

		v = v << 4 | (d > 15 ? d - 6 : d);
	}
	*s += n;
	*out = v;
	return 0;
}

int
str_lsn(const char *s, uint64_t *out, struct err *e)
{
	const char *at = s;
	uint32_t high, low;

	if (hex32(&at, &high) || *at++ != '/' || hex32(&at, &low) || *at)
		return err_set(
		    e, ERR_USAGE, "\"%s\" is not a position like 0/3000148", s);
	*out = (uint64_t)high << 32 | low;
	return 0;
}

char *
str_lsn_format(uint64_t lsn, char out[STR_LSN_MAX])
{
	snprintf(out, STR_LSN_MAX, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
	return out;
}

int
str_copy(char *out, size_t size, const char *s, struct err *e)
{
	size_t n = strlen(s);

	if (n >= size) {
		out[0] = '\0';
		return err_set(
		    e, ERR_USAGE, "\"%s\" is longer than %zu bytes", s, size - 1);
	}
	memcpy(out, s, n + 1);
	return 0;
}

int
str_name(const char *s, struct err *e)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-.";
	size_t n = strlen(s);

	if (n == 0)
		return err_set(e, ERR_USAGE, "a name must not be empty");
	if (n > STR_NAME_MAX)
		return err_set(
		    e, ERR_USAGE, "name \"%s\" is longer than %d bytes", s, STR_NAME_MAX);
	if (strspn(s, set) != n || *s == '-' || *s == '.')
		return err_set(e, ERR_USAGE,
		    "name \"%s\" must be made of letters, digits, '_', '-', '.', and "
		    "begin "
		    "with a letter, a digit or '_'",
		    s);
	return 0;
}

int
str_host(const char *s, struct err *e)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-.:%";
	size_t n = strlen(s);

	if (n == 0 || n > 253 || strspn(s, set) != n || *s == '-' || *s == '.')
		return err_set(
		    e, ERR_USAGE, "\"%.300s\" is not a name or an address of a host", s);
	return 0;
}

bool
str_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool
str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s);
	size_t k = strlen(suffix);

	return n >= k && strcmp(s + n - k, suffix) == 0;
}

bool
str_empty(const char *s)
{
	return !s || !*s;
}

bool
str_eq(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}
