// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on queues, by several threads and processes, with buffers and structs good
 * and bad, interrupted by signals and ended by SIGKILL; on the default queue, on queues in
 * an mpmcqfs that all workers use, and on queues that each worker makes and removes, there,
 * in mounts of its own or without a name.  Each result has to be one that the call may have
 * there and then, every message arrives whole, in order and as often as it may, and in the
 * end the account of each queue adds up, each slot can still be filled, and no mount is busy.
 *
 * All mounts are in a mount namespace of the test's own, and in the last variant in a user
 * namespace, too.
 *
 * MPMCQ_FUZZ_CALLS is how many calls each test makes (default 10000).  Each test
 * tells its seed; with MPMCQ_FUZZ_SEED set to it every worker makes the same calls
 * again, but for what depends on what others did.  How they interleave may differ.
 * A worker predicts its own queues exactly, and if it is alone the default queue,
 * too; then what depends on the time is left out, and a replay is the same.  The
 * results of what others use as well are judged by what those may do.
 *
 * fuzz_accounts, fuzz_results and fuzz_requests feed the judgement with faults.
 */

#include <sys/random.h>

#include "fuzz.h"
#include "mpmcq_test.h"

static __u64 new_seed(void)
{
	__u32 seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

FIXTURE_VARIANT(queue)
{
	int processes;
	int threads;
	bool ordered;
	bool inside;	/* a user namespace */
};

FIXTURE_VARIANT_ADD(queue, alone) { .processes = 1, .threads = 1 };
FIXTURE_VARIANT_ADD(queue, threads) { .processes = 1, .threads = 4 };
FIXTURE_VARIANT_ADD(queue, processes) { .processes = 4, .threads = 1, .ordered = true };
FIXTURE_VARIANT_ADD(queue, both) { .processes = 2, .threads = 3 };
FIXTURE_VARIANT_ADD(queue, user_namespace) { .processes = 2, .threads = 1, .inside = true };

TEST_F_TIMEOUT(queue, fuzz, 3600)
{
	int i, n = variant->processes * variant->threads, status;
	__u64 seed = number_from("MPMCQ_FUZZ_SEED", new_seed());
	struct stage *stage = share(sizeof(*stage));
	struct worker *w;
	const char *why;

	ASSERT_NE(NULL, stage);
	why = enter_namespaces(stage, variant->inside);
	if (why)
		SKIP(return, "%s", why);
	stage->world = new_world(n, number_from("MPMCQ_FUZZ_CALLS", 10000) / n);
	ASSERT_NE(NULL, stage->world);
	ASSERT_TRUE(set_up(stage, self->fd, n == 1));
	w = new_workers(stage, seed);
	ASSERT_NE(NULL, w);
	TH_LOG("MPMCQ_FUZZ_SEED=%llu: %d workers, %u calls each", (unsigned long long)seed, n,
	       stage->world->calls);
	stage->queue[DEFAULT].ordered = variant->ordered;
	for (i = 0; i < n; i += variant->threads) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(run_process(&w[i], variant->threads));
	}
	for (i = 0; i < variant->processes; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	for (i = 0; i < n; i++)
		w[n].failed |= w[i].failed;
	EXPECT_TRUE(judge_shared(&w[n]));
	leave_namespaces(stage);
}

TEST_HARNESS_MAIN
