/* Time: the only caller of clock_gettime, and types that cannot be mixed up. */
/* SPDX-License-Identifier: PostgreSQL */
#ifndef INI_CLOCK_H
#define INI_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since boot, counting suspends (CLOCK_BOOTTIME): a lease must run out
 * while the machine sleeps. For every deadline and every age. */
struct mono {
	int64_t ms;
};

/* Milliseconds since 1970, UTC. Only for people to read. */
struct wall {
	int64_t ms;
};

#define CLOCK_TEXT 32 /* "2026-11-23T11:36:56.123Z" and room for far years */

struct mono clock_mono(void);
struct wall clock_wall(void);

/* "2026-11-23T11:36:56.123Z"; returns out. */
char *clock_format(struct wall, char out[CLOCK_TEXT]);

/* Sleep, at most this long; a signal ends it early. */
void clock_nap_ms(int64_t ms);

/* For wait loops: false at once when the deadline is over, else nap up to step_ms (not
 * past the deadline) and true. */
bool clock_nap_until(struct mono deadline, int64_t step_ms);

static inline struct mono
mono_after(struct mono t, int64_t ms)
{
	return (struct mono){ t.ms + ms };
}

/* How long from "from" to "to", negative when it is the other way round. */
static inline int64_t
mono_between(struct mono from, struct mono to)
{
	return to.ms - from.ms;
}

/* The same of what has happened already: never negative. */
static inline int64_t
mono_age(struct mono since, struct mono now)
{
	return now.ms > since.ms ? now.ms - since.ms : 0;
}

static inline bool
mono_reached(struct mono now, struct mono deadline)
{
	return now.ms >= deadline.ms;
}

#endif
