// SPDX-License-Identifier: GPL-2.0-only
/*
 * The workers
 */
#include <sys/stat.h>

#include "fuzz.h"

void any_call(struct worker *w)
{
	static const struct {
		int weight;
		void (*fn)(struct worker *w);
	} calls[] = {
		{ 240, call_transfer }, { 60, call_settle }, { 20, call_poll }, { 10, call_select },
		{ 16, call_epoll_ctl }, { 16, call_epoll_wait }, { 8, call_next_len },
		{ 16, call_info }, { 40, call_peek }, { 24, call_forward },
		{ 8, call_ioctl }, { 10, call_show },
		{ 10, call_set_flags },
		{ 6, call_open }, { 12, call_attach }, { 20, call_create }, { 14, call_open_name },
		{ 4, call_reopen }, { 6, call_unlink }, { 6, call_change }, { 6, call_stat },
		{ 4, call_show_mount }, { 10, call_mount }, { 12, call_mode }, { 12, call_dead },
		{ 16, call_close }, { 10, call_dup }, { 6, call_mail }, { 8, call_wrong },
		{ 6, call_wrong_directory }, { 6, call_contended }, { 4, call_contended_mount },
		{ 2, call_fork }, { 1, call_doomed },
	};
	int i, pick, sum = 0;

	for (i = 0; i < (int)ARRAY_SIZE(calls); i++)
		sum += calls[i].weight;
	w->call++;
	draw_anew(w);
	pick = draw(w, sum);
	w->order.call_began = boottime();
	for (i = 0; pick >= calls[i].weight; i++)
		pick -= calls[i].weight;
	if (!w->forked || (calls[i].fn != call_fork && calls[i].fn != call_doomed))
		calls[i].fn(w);
}

/* Its own queues and mounts come to an end, too. */
static void end_work(struct worker *w)
{
	int i;

	if (w->parcel >= 0) {
		before_close(w, &w->open[w->parcel]);
		close(w->mail[1]);
		close(w->mail[0]);
		after_close(w, &w->open[w->parcel]);
	}
	for (i = 0; i < OWNED_QUEUES; i++) {
		struct queue *q = &w->own[i];

		if (q->serial && !w->failed)
			settle(w, q);
	}
	for (i = 0; i < OWN && !w->failed; i++)
		if (w->files.fd[i] >= 0)
			close_file(w, i);
	for (i = 0; i < OWNED_QUEUES; i++)
		if (w->own[i].serial && w->own[i].named)
			remove_queue(w, &w->own[i]);
	end_mounts(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	new_timers(w);
	begin_work(w);
	for (i = 0; i < OWN; i++)
		open_default(w, i);
	while (w->call < w->world->calls && !w->failed)
		any_call(w);
	stop_timers(w);
	end_work(w);
	__atomic_store_n(&w->done, true, __ATOMIC_RELAXED);
	return NULL;
}

/* Has the pages of the workers' flaky views come and go; what they hold stays. */
static void *shake(void *arg)
{
	static const int prot[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	struct worker *w = arg, shaker = { .random = ~w->random };

	while (!__atomic_load_n(&w->done, __ATOMIC_RELAXED)) {
		struct arena *a = w->arena;

		if (one_in(&shaker, 3))
			madvise(a->view[FLAKY], a->size, MADV_DONTNEED);
		else
			mprotect(a->view[FLAKY], a->size, draw_of(&shaker, prot));
		usleep(draw(&shaker, 2000));
	}
	return NULL;
}

int run_process(struct worker *w, int n)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	static const mode_t masks[] = { 0, 022, 027, 077, 0777 };
	pthread_t shaker[WORKERS], worker[WORKERS];
	int i, hot = open(DEVICE, O_RDWR), failed = 0;
	mode_t mask;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	mask = draw_of(w, masks);
	umask(mask);
	for (i = 0; i < n; i++) {
		w[i].files.fd[HOT] = hot;
		w[i].umask = mask;
		if (!new_arena(&w[i]))
			return KSFT_FAIL;
	}
	for (i = 0; i < n; i++)
		if (pthread_create(&shaker[i], NULL, shake, &w[i]) ||
		    pthread_create(&worker[i], NULL, work, &w[i]))
			return KSFT_FAIL;
	for (i = 0; i < n; i++) {
		pthread_join(worker[i], NULL);
		pthread_join(shaker[i], NULL);
		failed |= w[i].failed;
	}
	return failed ? KSFT_FAIL : KSFT_PASS;
}
