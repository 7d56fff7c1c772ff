/* ini/err: texts that stay whole, kinds that become exit codes. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <string.h>

#include "ini/err.h"
#include "test/tap.h"

#include "ini/ban.h"

static void
test_exit_codes(void)
{
	static const int want[ERR_KIND_COUNT] = { 0, 1, 2, 3, 4, 5, 6, 8, 12, 121, 122,
		127 };

	for (int k = ERR_NONE; k < ERR_KIND_COUNT; k++) {
		struct err e = { .kind = (enum err_kind)k };

		OK(err_exit(&e) == want[k], "kind %d exits %d", k, want[k]);
	}
}

static void
test_texts(void)
{
	struct err e = { .kind = ERR_NONE };

	OK(err_set(&e, ERR_MONITOR, "node %d: %s\n\n", 3, "gone") == -1, "err_set is -1");
	IS_STR(e.msg, "node 3: gone", "formatted, without newlines at the end");
	err_detail(&e, "since %s", "noon");
	err_hint(&e, "wait");
	OK(err_wrap(&e, "drop %s", "node_3") == -1, "err_wrap is -1");
	IS_STR(e.msg, "drop node_3: node 3: gone", "wrapped");
	OK(e.kind == ERR_MONITOR, "wrapping keeps the kind");
	IS_STR(e.detail, "since noon", "wrapping keeps the detail");
	IS_STR(e.hint, "wait", "wrapping keeps the hint");
	err_set(&e, ERR_STATE, "again: %s", e.msg);
	IS_STR(e.msg, "again: drop node_3: node 3: gone", "an error may quote itself");
	IS_STR(e.detail, "", "a new error has no old detail");
	errno = ENOENT;
	OK(err_sys(&e, "open %s", "/x") == -1, "err_sys is -1");
	IS_STR(e.msg, "open /x: No such file or directory", "with errno's text");
	OK(errno == ENOENT, "errno is kept");
	OK(err_set(NULL, ERR_STATE, "nobody cares") == -1, "NULL is fine");
	err_clear(&e);
	OK(e.kind == ERR_NONE && !e.msg[0], "cleared");
	err_wrap(&e, "lost");
	OK(err_exit(&e) != 0, "a wrapped nothing does not exit 0");
}

static bool
valid_end(const char *s)
{
	size_t n = strlen(s);

	/* all characters in these tests are two bytes: an odd rest is half a character */
	return n < ERR_MSG && n > 3 && strcmp(s + n - 3, "...") == 0;
}

static void
test_too_long(void)
{
	struct err e = { .kind = ERR_NONE };
	char text[2001];

	for (size_t i = 0; i + 1 < sizeof text; i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[2000] = '\0';
	for (int shift = 0; shift < 3; shift++) {
		err_set(&e, ERR_CONFIG, "%.*s%s", shift, "abc", text);
		OK(valid_end(e.msg), "long text is cut with dots, shift %d", shift);
		OK((strlen(e.msg) - 3 - (size_t)shift) % 2 == 0,
		    "at a character, shift %d", shift);
	}
	for (int i = 0; i < 40; i++)
		err_wrap(&e, "wrap number %d", i);
	OK(valid_end(e.msg), "wrapped too often: still whole");
	OK(strncmp(e.msg, "wrap number 39: ", 16) == 0, "the outermost words survive");
}

int
main(void)
{
	test_exit_codes();
	test_texts();
	test_too_long();
	return tap_done();
}
