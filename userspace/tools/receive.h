/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_RECEIVE_H
#define _MPMCQ_RECEIVE_H

#include "record.h"

/**
 * struct receiver - how messages are taken from a queue, and what becomes of them
 * @queue: the queue
 * @info: of the queue
 * @fd: open file that holds what was taken
 * @is_limited: its timeout was set to what was left, which is less than timeout_ms
 * @max_held: how many messages it may hold; 0 while there is none
 * @watches: the reader of standard output may go, or be slow
 * @keeps_apart: standard output keeps writes apart, so each message is one write
 * @events: epoll file of @fd, standard output and signals, if @watches; else -1
 * @count: how many messages to take, 0 for no limit
 * @taken: how many were taken
 * @pack: messages that were taken, each behind a header of @header bytes
 * @length: bytes there; 0 while nothing is held
 * @header: bytes of a header
 * @format: how they are printed
 * @output: the same as they are printed
 * @ends: where each message ends there
 * @printed: how many there are
 * @accepted: how many of them standard output has accepted, from the first on
 * @error: why standard output did not accept all of it; 0 if it did
 * @renewed: when the leases of what is held began
 * @command: what is run for each message instead of printing it, or NULL
 * @failed: how many runs of it failed
 */
struct receiver {
	int queue;
	struct mpmcq_info info;
	int fd;
	bool is_limited;
	uint32_t max_held;
	bool watches;
	bool keeps_apart;
	int events;
	unsigned long count;
	unsigned long taken;
	char *pack;
	size_t length;
	size_t header;
	struct record_format format;
	struct output output;
	size_t *ends;
	unsigned int printed;
	unsigned int accepted;
	int error;
	int64_t renewed;
	const char *command;
	unsigned long failed;
};

void give_back(struct receiver *r);
void work_on_message(struct receiver *r, const char *message, size_t length);

#endif /* _MPMCQ_RECEIVE_H */
