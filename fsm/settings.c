/* The monitor's settings: their names, defaults and places. */
/* SPDX-License-Identifier: PostgreSQL */
#include "fsm/fsm.h"

#include "ini/ban.h"

const struct fsm_setting_info fsm_setting_list[] = {
#define SETTING(field, name, unit, dflt, min, text)                                      \
	{ name, unit, dflt, min, text, offsetof(struct fsm_settings, field) },
#include "fsm/settings.def"
#undef SETTING
};
const size_t fsm_setting_count = sizeof fsm_setting_list / sizeof *fsm_setting_list;

void
fsm_settings_default(struct fsm_settings *s)
{
#define SETTING(field, name, unit, dflt, min, text) s->field = dflt;
#include "fsm/settings.def"
#undef SETTING
}
