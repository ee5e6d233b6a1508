#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "service/inner.h"
#include "service/install.h"
#include "service/version.h"

/*
 * The flags that every program has, and no others: what a program does is in
 * the configuration.
 */

enum { FLAG_DIR = 256, FLAG_NAME, FLAG_CHECK, FLAG_HELP, FLAG_VERSION };

static void
show_help(const struct synq_program *program)
{
	printf("%s: %s\n\n"
	       "%s [flags]\n\n"
	       "  --dir DIR               The installation's folder; else "
	       "$SYNQ_DIR, else \"var\".\n"
	       "  --name NAME             The instance, unique in the "
	       "installation.\n"
	       "  -X SECTION.NAME=VALUE   One option of the configuration.\n"
	       "  --check-config          Check the configuration and end.\n"
	       "  --help                  This text.\n"
	       "  --version               The version.\n\n"
	       "Signals: SIGTERM ends after the work in hand, SIGHUP reads "
	       "the configuration again.\n"
	       "Exit codes: 0 ended as asked, 1 failed, 2 usage, "
	       "3 configuration.\n"
	       "Options: synq manual synq.yaml\n",
	    program->name, program->summary, program->name);
}

static int
take_flag(struct synq_service *service, int flag, const char **ret_dir)
{
	switch (flag) {
	case FLAG_DIR:
		*ret_dir = optarg;
		return -1;
	case FLAG_NAME:
		service->name = optarg;
		return -1;
	case FLAG_CHECK:
		service->check_only = 1;
		return -1;
	case 'X':
		if (service->setting_count == SERVICE_MAX_SETTINGS) {
			fprintf(stderr, "%s: more than %d times -X\n",
			    service->program->name, SERVICE_MAX_SETTINGS);
			return 2;
		}
		service->settings[service->setting_count++] = optarg;
		return -1;
	case FLAG_HELP:
		show_help(service->program);
		return 0;
	case FLAG_VERSION:
		printf("%s %s\n", service->program->name, SYNQ_VERSION);
		return 0;
	default:
		fprintf(stderr, "%s --help shows the flags\n",
		    service->program->name);
		return 2;
	}
}

int
service_read_flags(struct synq_service *service, int argc, char **argv)
{
	static const struct option flags[] = {
		{ "dir", required_argument, NULL, FLAG_DIR },
		{ "name", required_argument, NULL, FLAG_NAME },
		{ "check-config", no_argument, NULL, FLAG_CHECK },
		{ "help", no_argument, NULL, FLAG_HELP },
		{ "version", no_argument, NULL, FLAG_VERSION },
		{ NULL, 0, NULL, 0 },
	};
	const char *name = service->program->name;
	const char *dir = NULL;
	int flag;

	service->name = strncmp(name, "synq-", 5) == 0 ? name + 5 : name;
	optind = 1;
	while ((flag = getopt_long(argc, argv, "X:h", flags, NULL)) != -1) {
		int code =
		    take_flag(service, flag == 'h' ? FLAG_HELP : flag, &dir);

		if (code != -1)
			return code;
	}
	if (optind < argc) {
		fprintf(stderr, "%s: \"%s\" is one word too many\n", name,
		    argv[optind]);
		return 2;
	}
	if (!synq_install_is_name(service->name)) {
		fprintf(stderr,
		    "%s: --name \"%s\": a name has letters, digits, \"-\" and "
		    "\"_\", at most 64\n",
		    name, service->name);
		return 2;
	}
	service->dir = synq_install_dir(dir);
	return -1;
}
