-- Who may what: data nodes connect as autoctl_node. Nothing is left to PUBLIC.

revoke all on all functions in schema pgautofailover from public;
grant usage on schema pgautofailover to autoctl_node;
grant select on all tables in schema pgautofailover to autoctl_node;
revoke all on pgautofailover.node_key from autoctl_node;
grant execute on all functions in schema pgautofailover to autoctl_node;

-- These are called by the monitor process and by functions of the owner only.
revoke execute on function
	pgautofailover.add_event(bigint, text, int, text, text),
	pgautofailover.add_request(text, int, text, bigint, bool),
	pgautofailover.wake(text, int),
	pgautofailover.tell_others(bigint),
	pgautofailover.take_node_id(bigint),
	pgautofailover.settings_changed(pgautofailover.node, text)
	from autoctl_node;
