/* Time: the only caller of clock_gettime. */
/* SPDX-License-Identifier: PostgreSQL */
#include "ini/clock.h"

#include <stdio.h>
#include <time.h>

#include "ini/ban.h"

static int64_t
read_ms(clockid_t id)
{
	struct timespec t = { 0 };

	/* fails only for an unknown clock; Linux has had this one since 2.6.39 */
	if (clock_gettime(id, &t))
		clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct mono
clock_mono(void)
{
	return (struct mono){ read_ms(CLOCK_BOOTTIME) };
}

struct wall
clock_wall(void)
{
	return (struct wall){ read_ms(CLOCK_REALTIME) };
}

char *
clock_format(struct wall w, char out[CLOCK_TEXT])
{
	int64_t ms = w.ms % 1000;
	time_t seconds;
	struct tm tm = { 0 };
	size_t n = 0;

	if (ms < 0)
		ms += 1000;
	seconds = (time_t)((w.ms - ms) / 1000);
	if (gmtime_r(&seconds, &tm))
		n = strftime(out, CLOCK_TEXT - 5, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_TEXT - n, ".%03uZ", (unsigned)ms % 1000);
	return out;
}

void
clock_nap_ms(int64_t ms)
{
	struct timespec t;

	if (ms <= 0)
		return;
	t.tv_sec = (time_t)(ms / 1000);
	t.tv_nsec = (long)(ms % 1000) * 1000000;
	nanosleep(&t, NULL);
}

bool
clock_nap_until(struct mono deadline, int64_t step_ms)
{
	int64_t left = mono_between(clock_mono(), deadline);

	if (left <= 0)
		return false;
	clock_nap_ms(left < step_ms ? left : step_ms);
	return true;
}
