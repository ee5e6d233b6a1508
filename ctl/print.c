#include "ctl/print.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "json/write.h"

/*
 * Rows are kept until all are known, because a table's columns are as wide as
 * their widest cell; lists that have no end are written by their commands.
 */

#define MAX_OUTPUT_BYTES (1U << 30)

struct print_table {
	const struct print_column *columns; /* borrowed */
	size_t column_count;
	char **cells; /* row after row; NULL = no value */
	size_t row_count;
	size_t row_room;
};

struct print_table *
print_table_new(const struct print_column *columns, size_t count)
{
	struct print_table *table = synq_mem_new(sizeof(*table));

	table->columns = columns;
	table->column_count = count;
	return table;
}

void
print_table_add(struct print_table *table, const char *const *cells)
{
	char **row;
	size_t i;

	if (table->row_count == table->row_room) {
		table->row_room = table->row_room * 2 + 16;
		table->cells = synq_mem_resize(table->cells,
		    table->row_room * table->column_count * sizeof(char *));
	}
	row = table->cells + table->row_count++ * table->column_count;
	for (i = 0; i < table->column_count; i++)
		row[i] = synq_mem_text(cells[i]);
}

size_t
print_table_rows(const struct print_table *table)
{
	return table->row_count;
}

void
print_table_free(struct print_table **table)
{
	size_t i;

	if (*table == NULL)
		return;
	for (i = 0; i < (*table)->row_count * (*table)->column_count; i++)
		synq_mem_free((*table)->cells[i]);
	synq_mem_free((*table)->cells);
	synq_mem_free(*table);
	*table = NULL;
}

int
print_all(struct synq_slice text)
{
	if (fwrite(text.data, 1, text.bytes, stdout) == text.bytes &&
	    fflush(stdout) == 0)
		return CLI_OK;
	/* head(1) has seen enough: nobody is left to be told. */
	if (errno == EPIPE)
		_exit(CLI_OK);
	return cli_say(
	    CLI_FAILED, "cannot write the output: %s", strerror(errno));
}

void
print_env(const char *name, const char *value)
{
	const char *at;

	printf("export %s='", name);
	for (at = value; *at != '\0'; at++) {
		if (*at == '\'')
			fputs("'\\''", stdout);
		else
			fputc(*at, stdout);
	}
	fputs("'\n", stdout);
}

/* Characters, not bytes, of the UTF-8 ${text}. */
static size_t
width_of(const char *text)
{
	size_t width = 0;

	for (; *text != '\0'; text++)
		width += ((unsigned char)*text & 0xC0U) != 0x80U;
	return width;
}

static const char *
shown(const char *cell)
{
	return cell == NULL || cell[0] == '\0' ? "-" : cell;
}

static void
add_json_row(
    const struct print_table *table, size_t row, struct synq_json_writer *json)
{
	char *const *cells = table->cells + row * table->column_count;
	size_t i;

	synq_json_open(json, '{');
	for (i = 0; i < table->column_count; i++) {
		synq_json_key(json, table->columns[i].name);
		if (cells[i] == NULL)
			synq_json_null(json);
		else if (table->columns[i].type == PRINT_TEXT)
			synq_json_text(json, cells[i]);
		else
			synq_json_raw(json, synq_slice_text(cells[i]));
	}
	synq_json_close(json, '}');
}

/* ${text} in ${width} characters, on the right if it is a number. */
static void
add_cell(
    struct synq_buf *out, const char *text, size_t width, enum print_type type)
{
	size_t used = width_of(text);
	int pad = used < width ? (int)(width - used) : 0;

	if (type == PRINT_NUMBER)
		synq_buf_printf(out, "%*s%s", pad, "", text);
	else
		synq_buf_printf(out, "%s%*s", text, pad, "");
}

static void
upper_case(const char *name, char *ret, size_t room)
{
	size_t i;

	for (i = 0; name[i] != '\0' && i + 1 < room; i++) {
		ret[i] = name[i];
		if (name[i] >= 'a' && name[i] <= 'z')
			ret[i] = (char)(name[i] - 'a' + 'A');
		else if (name[i] == '_')
			ret[i] = ' ';
	}
	ret[i] = '\0';
}

static size_t
column_width(const struct print_table *table, size_t column)
{
	size_t width = width_of(table->columns[column].name);
	size_t row;

	for (row = 0; row < table->row_count; row++) {
		size_t used = width_of(
		    shown(table->cells[row * table->column_count + column]));

		width = used > width ? used : width;
	}
	return width;
}

/* Lines end without blanks. */
static void
end_line(struct synq_buf *out)
{
	while (out->bytes > 0 && out->data[out->bytes - 1] == ' ')
		out->bytes--;
	synq_buf_char(out, '\n');
}

static void
add_table(const struct print_table *table, struct synq_buf *out)
{
	size_t *widths = synq_mem_array(table->column_count, sizeof(*widths));
	char name[64];
	size_t row;
	size_t i;

	for (i = 0; i < table->column_count; i++) {
		if (table->columns[i].only_json)
			continue;
		widths[i] = column_width(table, i);
		upper_case(table->columns[i].name, name, sizeof(name));
		add_cell(out, name, widths[i], table->columns[i].type);
		synq_buf_text(out, "  ");
	}
	end_line(out);
	for (row = 0; row < table->row_count; row++) {
		for (i = 0; i < table->column_count; i++) {
			if (table->columns[i].only_json)
				continue;
			add_cell(out,
			    shown(table->cells[row * table->column_count + i]),
			    widths[i], table->columns[i].type);
			synq_buf_text(out, "  ");
		}
		end_line(out);
	}
	synq_mem_free(widths);
}

int
print_table_list(const struct cli *cli, const struct print_table *table)
{
	struct synq_json_writer json;
	struct synq_buf out;
	size_t row;
	int code;

	synq_buf_init(&out, MAX_OUTPUT_BYTES);
	if (cli->format == CLI_JSON) {
		synq_json_start(&json, &out);
		synq_json_open(&json, '[');
		for (row = 0; row < table->row_count; row++)
			add_json_row(table, row, &json);
		synq_json_close(&json, ']');
		synq_buf_char(&out, '\n');
	} else if (cli->format == CLI_JSONL) {
		for (row = 0; row < table->row_count; row++) {
			synq_json_start(&json, &out);
			add_json_row(table, row, &json);
			synq_buf_char(&out, '\n');
		}
	} else {
		add_table(table, &out);
	}
	code = print_all(synq_buf_view(&out));
	synq_buf_done(&out);
	return code;
}

int
print_table_one(const struct cli *cli, const struct print_table *table)
{
	struct synq_json_writer json;
	struct synq_buf out;
	size_t width = 0;
	size_t i;
	int code;

	synq_buf_init(&out, MAX_OUTPUT_BYTES);
	if (cli->format == CLI_JSON || cli->format == CLI_JSONL) {
		synq_json_start(&json, &out);
		add_json_row(table, 0, &json);
		synq_buf_char(&out, '\n');
	} else {
		for (i = 0; i < table->column_count; i++) {
			size_t used = width_of(table->columns[i].name);

			width = used > width ? used : width;
		}
		for (i = 0; i < table->column_count; i++) {
			if (table->columns[i].only_json)
				continue;
			synq_buf_printf(&out, "%-*s  %s\n", (int)width,
			    table->columns[i].name, shown(table->cells[i]));
		}
	}
	code = print_all(synq_buf_view(&out));
	synq_buf_done(&out);
	return code;
}
