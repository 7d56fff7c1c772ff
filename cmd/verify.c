/* fsm verify: the tables of this binary, and every course of events of a pair. */
/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/model.h"
#include "fsm/fsm.h"
#include "ini/mem.h"

#include "ini/ban.h"

#define BUILD_ROUNDS 60

static void
print_complaint(void *arg, const char *text)
{
	(void)arg;
	printf("%s\n", text);
}

/* A pair that was built and has come to rest; then the adversary's turn. */
static bool
settled_pair(struct m_world *w)
{
	m_first(w);
	w->faults = w->delays = w->ops = w->commits = 0;
	for (int round = 0; round < BUILD_ROUNDS && m_fair_round(w, round, false);
	     round++)
		;
	w->faults = (uint8_t)m_run.faults;
	w->delays = (uint8_t)m_run.delays;
	w->ops = (uint8_t)m_run.ops;
	w->commits = (uint8_t)m_run.commits;
	return m_is_good(w) && !m_broken.name;
}

static void
print_result(const struct cmd_ctx *x, const struct m_result *r, int complaints)
{
	if (x->args.json)
		printf("{\n    \"ok\": %s,\n    \"states\": %d,\n    \"edges\": %zu,\n"
		       "    \"rules\": %zu,\n    \"complaints\": %d,\n    \"explored\": "
		       "%lld,\n    \"depth\": %d,\n    \"seconds\": %.1f\n}\n",
		    complaints || r->broken ? "false" : "true", FSM_STATE_COUNT,
		    fsm_edge_count, fsm_rule_count, complaints, r->states, r->depth,
		    r->seconds);
	else
		printf(
		    "a pair, with one fault, one operation and one commit at any time: "
		    "%lld situations, up to %d steps, %.1f s%s\n",
		    r->states, r->depth, r->seconds,
		    r->broken ? ""
			      : "; nothing that must not happen, and each ends well");
}

/* 1: holds, 0: something is wrong, and told; -1: cannot be done. */
static int
explore(struct cmd_ctx *x, struct m_result *r)
{
	const struct m_limits limits = { .liveness = true, .trace = !x->args.json };
	struct m_world *root = xcalloc(1, sizeof *root);
	int rc = -1;

	m_run = (struct m_config_of_run){ .nodes = 2,
		.faults = 1,
		.ops = 1,
		.commits = 1,
		.lsn_unit = 1 << 20,
		.guarded_lease = true };
	if (settled_pair(root)) {
		m_search(root, 1, &limits, r);
		rc = !r->broken && r->whole;
	} else
		err_set(&x->err, ERR_SYSTEM, "no pair can be built by these tables: %s",
		    m_broken.name ? m_broken.text : "it does not come to rest");
	free(root);
	return rc;
}

int
cmd_fsm_verify(struct cmd_ctx *x)
{
	struct m_result r = { 0 };
	int complaints = 0;
	int holds;

	complaints = fsm_verify(print_complaint, NULL);
	if (!x->args.json)
		printf("%d states, %zu edges, %zu rules: %d complaints\n",
		    FSM_STATE_COUNT, fsm_edge_count, fsm_rule_count, complaints);
	if (!x->args.json && fflush(stdout))
		return err_sys(&x->err, "write the answer");
	holds = explore(x, &r);
	if (holds == -1)
		return -1;
	print_result(x, &r, complaints);
	if (complaints == 0 && holds)
		return 0;
	return err_set(&x->err, ERR_SYSTEM,
	    "the state machine of this binary is wrong: %s",
	    r.broken ? r.broken : "see above");
}
