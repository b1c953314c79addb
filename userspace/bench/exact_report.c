// SPDX-License-Identifier: GPL-2.0-only
/*
 * What measurements came to, and how it is printed
 */
#define _GNU_SOURCE
#include <string.h>

#include "exact.h"

bool line_stable(const struct line *line)
{
	return line->cost.middle <= STABLE_PERCENT;
}

const struct line *find_line(const struct report *r, const char *name)
{
	for (size_t i = 0; i < r->count; i++)
		if (!strcmp(r->lines[i].way.name, name))
			return &r->lines[i];
	return NULL;
}

bool limit_of_report_kept(const struct report *r, const struct limit *limit)
{
	const struct line *row = find_line(r, limit->row);
	const struct line *beside = find_line(r, limit->beside);

	return row && beside && limit_kept(limit, row->cost.median, beside->cost.median);
}

static const char *unit(const struct report *r)
{
	return icount_exact(&r->clock) ? "instructions" : "nanoseconds";
}

/* The floor's cost, 0 if it is not among what was measured. */
static double floor_of(const struct report *r)
{
	const struct line *line = find_line(r, "floor");

	return line ? line->cost.median : 0;
}

static void print_line(FILE *to, const struct line *line, double least)
{
	const struct verdict *v = &line->verdict;

	fprintf(to, "%-10s%11.1f", line->way.name, line->cost.median);
	if (least > 0)
		fprintf(to, "%10.3f", line->cost.median / least);
	else
		fprintf(to, "%10s", "-");
	fprintf(to, "%9.3f%11.1f%11.1f%7lu%9lu%9lu%6lu\n", line->cost.middle,
		line->cost.min, line->cost.max, v->lost, v->repeated, v->disordered, v->torn);
}

void print_table(FILE *to, const struct report *r)
{
	fprintf(to, "%s per message of %u bytes, written and read; medians of %u rounds\n",
		unit(r), r->size, r->rounds);
	fprintf(to, "(an instruction takes %.4f ns here, one of a slow kind %.4f ns)\n\n",
		r->clock.plain, r->clock.slow);
	fprintf(to, "%-10s%11s%10s%9s%11s%11s%7s%9s%9s%6s\n", "", "median", "to floor",
		"spread %", "min", "max", "lost", "repeated", "disorder", "torn");
	for (size_t i = 0; i < r->count; i++)
		print_line(to, &r->lines[i], floor_of(r));
	fputs("\nspread: of the middle half of the rounds\n", to);
	for (size_t i = 0; i < r->count; i++)
		fprintf(to, "%s: %s\n", r->lines[i].way.name, way_text(&r->lines[i].way));
}

static void print_json_line(FILE *to, const struct line *line, double least)
{
	fprintf(to, "  {\"name\": \"%s\", \"text\": \"%s\", ", line->way.name,
		way_text(&line->way));
	fprintf(to, "\"per_message\": %.3f, \"min\": %.3f, \"max\": %.3f, ",
		line->cost.median, line->cost.min, line->cost.max);
	fprintf(to, "\"spread_percent\": %.4f, \"stable\": %s, ", line->cost.middle,
		line_stable(line) ? "true" : "false");
	if (least > 0)
		fprintf(to, "\"ratio_to_floor\": %.4f, ", line->cost.median / least);
	fprintf(to, "\"received\": %lu, ", line->verdict.received);
	verdict_json(&line->verdict, to);
	putc('}', to);
}

static void print_json_limit(FILE *to, const struct report *r, const struct limit *limit)
{
	fprintf(to, "  {\"row\": \"%s\", \"beside\": \"%s\", \"ratio\": %g, \"kept\": %s}",
		limit->row, limit->beside, limit->ratio,
		limit_of_report_kept(r, limit) ? "true" : "false");
}

void print_json(FILE *to, const struct report *r)
{
	fprintf(to, "{\"unit\": \"%s\", \"size\": %u, \"messages_of_a_round\": %u, ", unit(r),
		r->size, r->messages);
	fprintf(to, "\"rounds\": %u, \"ns_of_an_instruction\": [%.5f, %.5f],\n", r->rounds,
		r->clock.plain, r->clock.slow);
	fputs("\"rows\": [\n", to);
	for (size_t i = 0; i < r->count; i++) {
		print_json_line(to, &r->lines[i], floor_of(r));
		fputs(i + 1 < r->count ? ",\n" : "\n", to);
	}
	fputs("], \"limits\": [\n", to);
	for (int i = 0; i < r->limit_count; i++) {
		print_json_limit(to, r, &r->limits[i]);
		fputs(i + 1 < r->limit_count ? ",\n" : "\n", to);
	}
	fputs("]}\n", to);
}
