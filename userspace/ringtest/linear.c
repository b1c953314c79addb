// SPDX-License-Identifier: GPL-2.0-only
#include "linear.h"

static const struct linear_op *ops;
static int queue[2 * LINEAR_MAX_OPS];	/* what was put, from the first on */

static bool allowed(const struct linear_op *op, unsigned int head, unsigned int tail)
{
	if (op->put)
		return true;
	if (op->value == LINEAR_EMPTY)
		return head == tail;
	if (op->value == LINEAR_TOO_LONG)
		return head < tail && queue[head] & LINEAR_LONG;
	return head < tail && queue[head] == op->value;
}

/* Whether those in @left can follow, with queue[head] to queue[tail - 1] in it. */
static bool search(uint64_t left, unsigned int head, unsigned int tail)
{
	bool taken;

	if (!left)
		return true;
	for (uint64_t rest = left; rest; rest &= rest - 1) {
		unsigned int i = __builtin_ctzll(rest);
		const struct linear_op *op = &ops[i];

		if ((op->before & left) || !allowed(op, head, tail))
			continue;
		if (op->put)
			queue[tail] = op->value;
		taken = !op->put && op->value >= 0;
		if (search(left & ~(1ULL << i), head + taken, tail + op->put))
			return true;
	}
	return false;
}

bool linear_fifo(const struct linear_op *history, const int *initial, unsigned int n)
{
	uint64_t left = 0;

	for (unsigned int i = 0; i < LINEAR_MAX_OPS; i++)
		if (history[i].used)
			left |= 1ULL << i;
	for (unsigned int i = 0; i < n; i++)
		queue[i] = initial[i];
	ops = history;
	return search(left, 0, n);
}
