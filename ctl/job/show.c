/*
 * JSON goes out as it came.  JSON lines are written page by page, so that a
 * long list needs no memory; a table must know its widest cell.
 */

#include "ctl/job/show.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/print.h"

#define MAX_TEXT_BYTES 4096
#define MAX_PAGE_BYTES ((size_t)64 << 20)

/* Members of a job; those of a list come first. */
static const struct print_column columns[] = {
	{ .name = "id" },
	{ .name = "status" },
	{ .name = "model" },
	{ .name = "attempts", .type = PRINT_NUMBER },
	{ .name = "created_at" },
	{ .name = "ended_at" },
	{ .name = "answer_status", .type = PRINT_NUMBER },
	{ .name = "endpoint" },
	{ .name = "priority" },
	{ .name = "provider" },
	{ .name = "provider_model" },
	{ .name = "started_at" },
	{ .name = "deadline_at" },
	{ .name = "metadata" },
	{ .name = "usage" },
	{ .name = "error" },
	{ .name = "request_id" },
};

#define LIST_COLUMNS 7

struct show_list {
	const struct cli *cli; /* borrowed */
	struct print_table *table;
	struct synq_buf page;
	size_t count;
};

/* A time as people read it; otherwise the value as it stands. */
static void
add_cell(const char *name, struct synq_json value, struct synq_buf *out)
{
	const size_t chars = strlen(name);
	char text[28];
	int64_t seconds;

	if (value.type == SYNQ_JSON_NONE || value.type == SYNQ_JSON_NULL)
		return;
	if (value.type == SYNQ_JSON_STRING) {
		(void)!synq_json_string(value, out);
	} else if (chars > 3 && strcmp(name + chars - 3, "_at") == 0 &&
		   synq_json_int(value, &seconds) == 0 && seconds >= 0 &&
		   seconds < INT64_C(253402300800)) {
		synq_clock_format(seconds * 1000000, text);
		/* The API counts in whole seconds. */
		synq_buf_printf(out, "%.19sZ", text);
	} else {
		synq_buf_slice(out, value.raw);
	}
}

static void
add_row(struct print_table *table, size_t count, struct synq_json job)
{
	const char *cells[SYNQ_COUNT(columns)] = { NULL };
	struct synq_buf texts[SYNQ_COUNT(columns)];
	size_t i;

	for (i = 0; i < count; i++) {
		synq_buf_init(&texts[i], MAX_TEXT_BYTES);
		add_cell(columns[i].name,
		    synq_json_member(job, columns[i].name), &texts[i]);
		if (texts[i].bytes > 0)
			cells[i] = texts[i].data;
	}
	print_table_add(table, cells);
	for (i = 0; i < count; i++)
		synq_buf_done(&texts[i]);
}

static int
write_raw(struct synq_slice text)
{
	struct synq_buf line;
	int code;

	synq_buf_init(&line, text.bytes + 1);
	synq_buf_slice(&line, text);
	synq_buf_char(&line, '\n');
	code = print_all(synq_buf_view(&line));
	synq_buf_done(&line);
	return code;
}

int
show_job(const struct cli *cli, struct synq_json job)
{
	struct print_table *table;
	int code;

	if (cli->format != CLI_TABLE)
		return write_raw(job.raw);
	table = print_table_new(columns, SYNQ_COUNT(columns));
	add_row(table, SYNQ_COUNT(columns), job);
	code = print_table_one(cli, table);
	print_table_free(&table);
	return code;
}

struct show_list *
show_list_new(const struct cli *cli)
{
	struct show_list *list = synq_mem_new(sizeof(*list));

	list->cli = cli;
	list->table = print_table_new(columns, LIST_COLUMNS);
	synq_buf_init(&list->page, MAX_PAGE_BYTES);
	return list;
}

void
show_list_free(struct show_list **list)
{
	if (*list == NULL)
		return;
	print_table_free(&(*list)->table);
	synq_buf_done(&(*list)->page);
	synq_mem_free(*list);
	*list = NULL;
}

static void
add_job(struct show_list *list, struct synq_json job)
{
	if (list->cli->format == CLI_TABLE) {
		add_row(list->table, LIST_COLUMNS, job);
	} else {
		if (list->cli->format == CLI_JSON)
			synq_buf_char(
			    &list->page, list->count == 0 ? '[' : ',');
		synq_buf_slice(&list->page, job.raw);
		if (list->cli->format == CLI_JSONL)
			synq_buf_char(&list->page, '\n');
	}
	list->count++;
}

int
show_list_add(
    struct show_list *list, struct synq_slice body, struct synq_buf *after)
{
	struct synq_json_cursor cursor;
	struct synq_json page;
	struct synq_json job;
	int code = CLI_OK;

	synq_buf_clear(after);
	if (synq_json_parse(body, &page, NULL) != 0 ||
	    synq_json_member(page, "data").type != SYNQ_JSON_ARRAY)
		return cli_say(CLI_FAILED, "the answer is not that of Synq");
	cursor = synq_json_walk(synq_json_member(page, "data"));
	while (synq_json_next(&cursor, NULL, &job))
		add_job(list, job);
	if (list->page.bytes > 0)
		code = print_all(synq_buf_view(&list->page));
	synq_buf_clear(&list->page);
	if (synq_json_member(page, "has_more").type == SYNQ_JSON_TRUE)
		(void)!synq_json_string(
		    synq_json_member(page, "last_id"), after);
	return code;
}

int
show_list_end(struct show_list *list)
{
	if (list->cli->format == CLI_TABLE)
		return print_table_list(list->cli, list->table);
	if (list->cli->format == CLI_JSON)
		return print_all(
		    synq_slice_text(list->count == 0 ? "[]\n" : "]\n"));
	return CLI_OK;
}
