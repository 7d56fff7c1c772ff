/* ini/log, ini/clock: the shape of a line, levels, repetition. */
/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ini/clock.h"
#include "ini/err.h"
#include "ini/log.h"
#include "test/tap.h"

#include "ini/ban.h"

static int pipe_out;
static char got[8192];

/* What was written to stderr since the last call. */
static const char *
logged(void)
{
	ssize_t n = read(pipe_out, got, sizeof got - 1);

	got[n > 0 ? n : 0] = '\0';
	return got;
}

static bool
match(const char *s, const char *pattern)
{
	regex_t re;
	bool hit;

	if (regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB))
		return false;
	hit = regexec(&re, s, 0, NULL, 0) == 0;
	regfree(&re);
	if (!hit)
		tap_note("\"%s\" does not match %s", s, pattern);
	return hit;
}

#define STAMP "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z "

static void
test_lines(void)
{
	char big[5000];

	log_info("plain %d", 1);
	OK(match(logged(), STAMP "info plain 1\n$"), "time, level, text");
	log_context("node_2");
	log_error("gone");
	OK(match(logged(), STAMP "error node_2 gone\n$"), "with the context");
	errno = ENOENT;
	log_warn("two\nlines\x1b[31m\n");
	OK(errno == ENOENT, "errno is kept");
	OK(match(logged(), STAMP "warn node_2 two lines \\[31m\n$"), "always one line");
	log_debug("too fine");
	log_detail("of nothing");
	IS_STR(logged(), "", "debug is not written at level info, nor its details");
	log_level_set(LOG_LEVEL_DEBUG);
	log_debug("fine");
	log_hint("look");
	OK(match(logged(), STAMP "debug node_2 fine\n.*debug node_2 hint: look\n$"),
	    "debug with a hint");
	log_level_set(LOG_LEVEL_INFO);
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	log_info("%s", big);
	OK(match(logged(), "xxx\\.\\.\\.\n$") && strlen(got) == 2047,
	    "a long one is cut");
	log_context(NULL);
}

static void
test_plain(void)
{
	struct err e;

	log_plain("autoctl");
	err_set(&e, ERR_STATE, "create node: it runs");
	err_detail(&e, "pid 7");
	err_hint(&e, "stop it");
	log_err(LOG_LEVEL_ERROR, &e);
	IS_STR(logged(),
	    "autoctl: create node: it runs\nautoctl: detail: pid 7\nautoctl: hint: stop "
	    "it\n",
	    "the manner of a command");
	log_warn("hm");
	IS_STR(logged(), "autoctl: warning: hm\n", "its warnings");
}

static void
test_once(void)
{
	struct log_once o = { 0 };
	struct err e;

	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "b");
	IS_STR(logged(), "autoctl: no route to b\n", "the first time");
	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "b");
	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "b");
	IS_STR(logged(), "", "not again");
	o.written_ms -= 60000;
	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "b");
	IS_STR(logged(), "autoctl: no route to b (repeated 2 times)\n", "after a minute");
	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "c");
	IS_STR(logged(), "autoctl: no route to c\n", "another text");
	log_once_reset(&o);
	log_once(&o, LOG_LEVEL_ERROR, "no route to %s", "c");
	IS_STR(logged(), "autoctl: no route to c\n", "after a reset");
	err_set(&e, ERR_STATE, "stuck");
	err_hint(&e, "push");
	log_once_err(&o, LOG_LEVEL_ERROR, &e);
	log_once_err(&o, LOG_LEVEL_ERROR, &e);
	IS_STR(logged(), "autoctl: stuck\nautoctl: hint: push\n", "an error, once");
}

/* In a child, because whether stderr is the journal is looked up once. */
static void
test_journal(void)
{
	struct stat st;
	char id[64];
	pid_t pid = fork();

	if (pid == 0) {
		if (fstat(STDERR_FILENO, &st))
			_exit(1);
		snprintf(id, sizeof id, "%llu:%llu", (unsigned long long)st.st_dev,
		    (unsigned long long)st.st_ino);
		setenv("JOURNAL_STREAM", id, 1);
		log_context("node_1");
		log_warn("low");
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	IS_STR(logged(), "<4>warn node_1 low\n", "the journal gets priority, not time");
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_warn("low");
	OK(match(logged(), STAMP "warn low\n$"), "stderr that is not the journal");
}

static void
on_alarm(int sig)
{
	(void)sig;
}

static void
test_clock(void)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = { { 0, "1970-01-01T00:00:00.000Z" },
		{ 1795433816123, "2026-11-23T11:36:56.123Z" },
		{ 951782400000, "2000-02-29T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" } };
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
	struct mono start = clock_mono();
	char text[CLOCK_TEXT];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		IS_STR(clock_format((struct wall){ rows[i].ms }, text), rows[i].text,
		    "time");
	OK(!clock_nap_until(start, 1000), "a deadline that is over");
	OK(clock_nap_until(mono_after(clock_mono(), 30), 10000), "one ahead");
	OK(mono_between(start, clock_mono()) >= 29 &&
		mono_between(start, clock_mono()) < 5000,
	    "the nap ends at the deadline, not after the step");
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	start = clock_mono();
	clock_nap_ms(30000);
	OK(mono_between(start, clock_mono()) < 15000, "a signal ends a nap");
	OK(mono_reached((struct mono){ 5 }, (struct mono){ 5 }) &&
		!mono_reached((struct mono){ 4 }, (struct mono){ 5 }),
	    "reached");
}

int
main(void)
{
	int fds[2];

	/* a pipe that is never waited for: what is there is there */
	if (pipe2(fds, O_NONBLOCK | O_CLOEXEC) || dup2(fds[1], STDERR_FILENO) < 0)
		return 1;
	pipe_out = fds[0];
	test_journal();
	test_lines();
	test_plain();
	test_once();
	test_clock();
	return tap_done();
}
