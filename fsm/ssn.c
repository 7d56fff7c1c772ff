/* The value of synchronous_standby_names for a configuration. */
/* SPDX-License-Identifier: PostgreSQL */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "fsm/fsm.h"

#include "ini/ban.h"

int
ssn_format(const struct fsm_config *c, char *to, size_t size)
{
	size_t used = 0;

	assert(size > 0 && c->n >= 0 && c->n <= FSM_NODES_MAX);
	to[0] = '\0';
	if (c->k <= 0 || c->n == 0)
		return 0;
	for (int i = -1; i < c->n; i++) {
		int n = i < 0 ? snprintf(to, size, "ANY %d (", c->k)
			      : snprintf(to + used, size - used,
				    "%spgautofailover_standby_%" PRId64, i ? ", " : "",
				    c->member[i]);

		if (n < 0 || (size_t)n + 1 >= size - used) { /* room for ) as well */
			to[0] = '\0';
			return -1;
		}
		used += (size_t)n;
	}
	to[used] = ')';
	to[used + 1] = '\0';
	return 0;
}
