#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/mem.h"
#include "conf/inner.h"

/*
 * A file of two levels, section and name, from libyaml's events:
 *
 *	section:
 *	  name: value
 *
 * Anything else (lists, deeper mappings, anchors, tags, a second document, the
 * same name twice) is a mistake with its place; what is inside of it is
 * skipped and reading goes on behind.  Only text that is not YAML at all ends
 * the reading of the file.
 */

struct reader {
	struct conf_load *load;
	yaml_parser_t parser;
	yaml_event_t event; /* the current one */
	int dead;           /* 1 = the text is not YAML */
	char section[64];   /* the one read now */
	char seen_sections[CONF_ROWS][64];
	size_t seen_section_count;
	char seen[CONF_ROWS]; /* by row: 1 = set in this file */
};

static struct conf_mark
mark_of(const yaml_mark_t *at)
{
	return (
	    struct conf_mark){ .line = at->line + 1, .column = at->column + 1 };
}

/* Go to the next event; at the end of what is YAML, stay at a STREAM_END. */
static void
step(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;
	struct conf_mark mark;

	yaml_event_delete(&reader->event);
	if (reader->dead || yaml_parser_parse(&reader->parser, &reader->event))
		return;
	mark = mark_of(&parser->problem_mark);
	/* libyaml keeps no mark for bytes that are not UTF-8. */
	if (parser->error == YAML_READER_ERROR)
		mark = mark_of(&parser->mark);
	conf_complain(reader->load, mark, "this is not YAML: %s",
	    parser->problem == NULL ? "it cannot be read" : parser->problem);
	memset(&reader->event, 0, sizeof(reader->event));
	reader->dead = 1;
}

static int
is_end(const struct reader *reader)
{
	return reader->dead || reader->event.type == YAML_STREAM_END_EVENT ||
	       reader->event.type == YAML_MAPPING_END_EVENT ||
	       reader->event.type == YAML_DOCUMENT_END_EVENT;
}

/* Leave the current node, with all that is inside, behind. */
static void
skip(struct reader *reader)
{
	size_t depth = 0;

	do {
		switch ((int)reader->event.type) {
		case YAML_MAPPING_START_EVENT:
		case YAML_SEQUENCE_START_EVENT:
			depth++;
			break;
		case YAML_MAPPING_END_EVENT:
		case YAML_SEQUENCE_END_EVENT:
			depth--;
			break;
		default:
			break;
		}
		step(reader);
	} while (depth > 0 && !reader->dead);
}

/*
 * The current node as a plain text without NUL into ${ret}; NULL if it is
 * something else.  It lives until the next step.
 */
static const char *
scalar(const struct reader *reader)
{
	const yaml_event_t *event = &reader->event;

	if (reader->dead || event->type != YAML_SCALAR_EVENT)
		return NULL;
	if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL)
		return NULL;
	if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
		return NULL;
	return (const char *)event->data.scalar.value;
}

static int
is_empty(const struct reader *reader)
{
	const char *text = scalar(reader);

	return text != NULL && text[0] == '\0' &&
	       reader->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static void
read_value(struct reader *reader, int index, struct conf_mark name_mark)
{
	const struct synq_option *option = synq_option_at((size_t)index);
	struct conf_mark mark = mark_of(&reader->event.start_mark);
	const char *text = scalar(reader);

	if (reader->dead)
		return;
	if (text == NULL) {
		conf_complain(reader->load, mark,
		    "%s.%s: this must be one value, not a list, a mapping, "
		    "an anchor or a tag",
		    option->section, option->name);
	} else if (reader->seen[index]) {
		conf_complain(reader->load, name_mark,
		    "%s.%s stands here twice", option->section, option->name);
	} else {
		reader->seen[index] = 1;
		conf_set(reader->load, mark, index, synq_slice_text(text));
	}
	skip(reader);
}

/* One "name: value" of reader->section. */
static void
read_option(struct reader *reader, int known_section)
{
	struct conf_mark mark = mark_of(&reader->event.start_mark);
	const char *text = scalar(reader);
	char name[64];
	int index;

	if (text == NULL || strlen(text) >= sizeof(name)) {
		conf_complain(reader->load, mark,
		    "the name of an option of section %s belongs here",
		    reader->section);
		skip(reader);
		skip(reader);
		return;
	}
	memcpy(name, text, strlen(text) + 1);
	index = conf_find(reader->section, name);
	if (index < 0 && known_section)
		conf_unknown_name(reader->load, mark, reader->section, name);
	step(reader);
	if (index < 0)
		skip(reader);
	else
		read_value(reader, index, mark);
}

/* 1 if reader->section was read before, else 0 and it is noted. */
static int
seen_section(struct reader *reader)
{
	size_t i;

	for (i = 0; i < reader->seen_section_count; i++) {
		if (strcmp(reader->seen_sections[i], reader->section) == 0)
			return 1;
	}
	if (i < CONF_ROWS) {
		memcpy(reader->seen_sections[i], reader->section,
		    sizeof(reader->section));
		reader->seen_section_count++;
	}
	return 0;
}

/* What stands behind "section:". */
static void
read_section_body(struct reader *reader, int known)
{
	struct conf_mark mark = mark_of(&reader->event.start_mark);

	if (is_empty(reader)) {
		step(reader);
		return;
	}
	if (reader->dead)
		return;
	if (reader->event.type != YAML_MAPPING_START_EVENT ||
	    reader->event.data.mapping_start.anchor != NULL ||
	    reader->event.data.mapping_start.tag != NULL) {
		conf_complain(reader->load, mark,
		    "section %s must hold lines \"  name: value\"",
		    reader->section);
		skip(reader);
		return;
	}
	step(reader);
	while (!is_end(reader))
		read_option(reader, known);
	step(reader);
}

static void
read_section(struct reader *reader)
{
	struct conf_mark mark = mark_of(&reader->event.start_mark);
	const char *text = scalar(reader);
	int known;

	if (text == NULL || strlen(text) >= sizeof(reader->section)) {
		conf_complain(
		    reader->load, mark, "the name of a section belongs here");
		skip(reader);
		skip(reader);
		return;
	}
	memset(reader->section, 0, sizeof(reader->section));
	memcpy(reader->section, text, strlen(text));
	known = conf_has_section(reader->section);
	if (!known)
		conf_unknown_section(reader->load, mark, reader->section);
	else if (seen_section(reader))
		conf_complain(reader->load, mark,
		    "section %s stands here twice", reader->section);
	step(reader);
	read_section_body(reader, known);
}

static void
read_document(struct reader *reader)
{
	struct conf_mark mark = mark_of(&reader->event.start_mark);

	if (is_empty(reader)) {
		step(reader);
		return;
	}
	if (reader->dead)
		return;
	if (reader->event.type != YAML_MAPPING_START_EVENT) {
		conf_complain(reader->load, mark,
		    "a section (\"name:\" at the left) belongs here");
		skip(reader);
		return;
	}
	step(reader);
	while (!is_end(reader))
		read_section(reader);
	step(reader);
}

static void
read_stream(struct reader *reader)
{
	step(reader); /* to the start of the stream */
	step(reader);
	if (reader->dead || reader->event.type != YAML_DOCUMENT_START_EVENT)
		return;
	step(reader);
	read_document(reader);
	if (reader->dead)
		return;
	step(reader); /* over the end of the document */
	if (!reader->dead && reader->event.type == YAML_DOCUMENT_START_EVENT)
		conf_complain(reader->load, mark_of(&reader->event.start_mark),
		    "a second document begins here; one is allowed");
}

/* Read the file into ${text}; -1 if there is none or after a complaint. */
static int
slurp(struct conf_load *load, struct synq_buf *text)
{
	const struct conf_mark nowhere = { 0, 0 };
	int fd = open(load->file, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = 0;
	int rc = -1;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -1;
	while (fd >= 0) {
		char *room = synq_buf_reserve(text, 4096);

		if (room == NULL) {
			conf_complain(load, nowhere,
			    "the file is larger than %d bytes",
			    CONF_MAX_FILE_BYTES);
			goto out;
		}
		bytes = read(fd, room, 4096);
		if (bytes <= 0)
			break;
		text->bytes += (size_t)bytes;
	}
	if (fd < 0 || bytes < 0)
		conf_complain(
		    load, nowhere, "cannot read the file: %s", strerror(errno));
	else
		rc = 0;

out:
	if (fd >= 0)
		close(fd);
	return rc;
}

void
conf_read_file(struct conf_load *load)
{
	const struct conf_mark nowhere = { 0, 0 };
	struct reader *reader;
	struct synq_buf text;

	synq_buf_init(&text, CONF_MAX_FILE_BYTES + 4096);
	if (slurp(load, &text) != 0) {
		synq_buf_done(&text);
		return;
	}
	reader = synq_mem_new(sizeof(*reader));
	reader->load = load;
	if (yaml_parser_initialize(&reader->parser)) {
		yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&reader->parser,
		    (const unsigned char *)text.data, text.bytes);
		read_stream(reader);
		yaml_event_delete(&reader->event);
		yaml_parser_delete(&reader->parser);
	} else {
		conf_complain(load, nowhere, "libyaml does not start");
	}
	synq_mem_free(reader);
	synq_buf_done(&text);
}
