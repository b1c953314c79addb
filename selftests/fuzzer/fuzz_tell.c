// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is told of failures
 */
#include "fuzz.h"

void complain(struct worker *w, const char *call, ssize_t ret, const char *instead)
{
	w->failed = true;
	dprintf(STDOUT_FILENO, "# MPMCQ_FUZZ_SEED=%llu: worker %d, call %u: %s: %zd%s\n",
		(unsigned long long)w->seed, w->id, w->call, call, ret, instead);
}

bool returned(struct worker *w, const char *call, ssize_t ret, const struct expected *e)
{
	char text[256];
	int i, n = 0;

	if (as_expected(e, ret))
		return true;
	text[0] = '\0';
	for (i = 0; i < e->errors; i++)
		n += snprintf(text + n, sizeof(text) - n, ", not %d", e->error[i]);
	if (e->min <= e->max)
		snprintf(text + n, sizeof(text) - n, ", not %zd to %zd", e->min, e->max);
	complain(w, call, ret, text);
	return false;
}

bool has_to(struct worker *w, const char *call, ssize_t ret, ssize_t result)
{
	const struct expected e = { .min = result, .max = result };

	return returned(w, call, ret, &e);
}

void tell_faults(struct worker *w, const char *call, ssize_t ret, int faults)
{
	static const char *const what[] = {
		", and a message is torn", ", and another message was next",
		", and a message is nobody's", ", and a message is lost",
		", and a message comes again", ", and its header or padding is wrong",
		", and that is more than may be held",
	};
	int i;

	for (i = 0; i < (int)ARRAY_SIZE(what); i++)
		if (faults & 1 << i)
			complain(w, call, ret, what[i]);
}
