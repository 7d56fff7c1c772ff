/* Reads the JSON that others hand us: flat objects, and arrays of them. */
/* SPDX-License-Identifier: PostgreSQL */
#include "cmd/json.h"

#include <stdio.h>
#include <string.h>

#include "ini/buf.h"

#include "ini/ban.h"

#define DEPTH_MAX 32

static const char *
blanks(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

/* Behind a string, NULL when it is none. */
static const char *
string(const char *p)
{
	if (*p++ != '"')
		return NULL;
	for (; *p != '"'; p++) {
		if ((unsigned char)*p < ' ')
			return NULL;
		if (*p == '\\' && !*++p)
			return NULL;
	}
	return p + 1;
}

static const char *
word(const char *p)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t n = strspn(p, "+-.0123456789eE");

	for (size_t i = 0; i < 3; i++)
		if (strncmp(p, words[i], strlen(words[i])) == 0)
			return p + strlen(words[i]);
	return n && (*p == '-' || (*p >= '0' && *p <= '9')) ? p + n : NULL;
}

static const char *value(const char *p, int depth);

/* Behind the members of an object or the elements of an array, from behind its bracket
 * on. */
static const char *
list(const char *p, char end, int depth)
{
	p = blanks(p);
	if (*p == end)
		return p + 1;
	for (;;) {
		p = blanks(p);
		if (end == '}') {
			if (!(p = string(p)) || *(p = blanks(p)) != ':')
				return NULL;
			p++;
		}
		if (!(p = value(p, depth)))
			return NULL;
		p = blanks(p);
		if (*p == end)
			return p + 1;
		if (*p++ != ',')
			return NULL;
	}
}

/* Behind one value, NULL when there is none. */
static const char *
value(const char *p, int depth)
{
	p = blanks(p);
	if (*p == '"')
		return string(p);
	if (*p != '{' && *p != '[')
		return word(p);
	return depth < DEPTH_MAX ? list(p + 1, *p == '{' ? '}' : ']', depth + 1) : NULL;
}

bool
cmd_json_valid(const char *text)
{
	const char *end = value(text, 0);

	return end && !*blanks(end);
}

static void
utf8(struct buf *to, unsigned c)
{
	if (c < 0x80) {
		buf_char(to, (char)c);
	} else if (c < 0x800) {
		buf_char(to, (char)(0xc0 | c >> 6));
		buf_char(to, (char)(0x80 | (c & 0x3f)));
	} else {
		buf_char(to, (char)(0xe0 | c >> 12));
		buf_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
		buf_char(to, (char)(0x80 | (c & 0x3f)));
	}
}

/* What stands between the quotes; pairs of surrogates stay as they are written. */
static void
unquote(const char *p, const char *end, struct buf *to)
{
	static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
	unsigned c;

	for (p++; p < end - 1; p++) {
		const char *known = p[0] == '\\' ? strchr(from, p[1]) : NULL;

		if (*p != '\\') {
			buf_char(to, *p);
		} else if (known) {
			buf_char(to, into[known - from]);
			p++;
		} else if (p[1] == 'u' && sscanf(p + 2, "%4x", &c) == 1 && c &&
			   (c < 0xd800 || c > 0xdfff)) {
			utf8(to, c);
			p += 5;
		} else {
			buf_char(to, *++p);
		}
	}
}

bool
cmd_json_member(const char *p, const char *key, struct buf *to)
{
	p = blanks(p);
	if (*p != '{')
		return false;
	do {
		const char *name = blanks(p + 1);
		const char *end = string(name);
		const char *from, *behind;
		struct buf plain = { 0 };
		bool found;

		if (!end || *(from = blanks(end)) != ':' ||
		    !(behind = value(from + 1, 1)))
			return false;
		unquote(name, end, &plain);
		found = strcmp(buf_peek(&plain), key) == 0;
		buf_drop(&plain);
		from = blanks(from + 1);
		if (found && *from == '"')
			unquote(from, behind, to);
		else if (found)
			buf_add(to, from, (size_t)(behind - from));
		if (found)
			return true;
		p = blanks(behind);
	} while (*p == ',');
	return false;
}

const char *
cmd_json_next(const char **at)
{
	const char *p = blanks(*at);
	const char *end;

	if (*p != '[' && *p != ',')
		return NULL;
	p = blanks(p + 1);
	if (*p == ']' || !(end = value(p, 1)))
		return NULL;
	*at = blanks(end);
	return p;
}
