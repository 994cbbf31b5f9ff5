/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/nspawn.c - settings of systemd-nspawn (systemd.nspawn(5)) as a spec. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/macro.h"
#include "base/parse.h"
#include "conf/foreign.h"

struct nspawn {
	struct foreign *f;
	struct foreign_at at;
	bool no_boot, private, interfaces;
};

struct setting {
	const char *name; /* with its section: "Exec.Boot" */
	int (*take)(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err);
	const char *spec_key;
	const char *hint;
};

static int refuse(struct nspawn *n, const char *advice, struct kennel_error **err)
{
	return foreign_refuse(n->f, &n->at, advice, err);
}

static int take_value(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	return foreign_set(n->f, &n->at, s->spec_key, value, err);
}

static int take_not(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	return refuse(n, s->hint, err);
}

static int take_nothing(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	return 0;
}

static int truth(const char *value)
{
	int yes;

	return parse_bool(value, &yes) < 0 ? -1 : yes;
}

static int take_flag(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	int yes = truth(value);

	return yes < 0 ? refuse(n, NULL, err) : yes ? foreign_set(n->f, &n->at, s->spec_key, "yes", err) : 0;
}

/* "no" is what kennel does. */
static int take_no(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	return truth(value) == 0 ? 0 : refuse(n, s->hint, err);
}

static int take_boot(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	int yes = truth(value);

	n->no_boot = yes == 0;
	return yes < 0 ? refuse(n, NULL, err) : 0;
}

/* Each word by itself. */
static int take_words(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = strv_split_words(&words, value, NULL);

	if (r < 0)
		return refuse(n, NULL, err);
	for (size_t i = 0; i < words.n && r == 0; i++)
		r = foreign_set(n->f, &n->at, s->spec_key,
				strcmp(words.items[i], "all") == 0 ? "ALL" : words.items[i], err);
	return r;
}

static int take_users(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	uint32_t base = 0, count = 65536;
	char text[32];
	int yes = truth(value);

	if (strcmp(value, "pick") == 0 || (yes == 1 && strcmp(value, "1") != 0))
		return 0;
	if (yes == 0)
		return foreign_set(n->f, &n->at, "isolate", "ns", err);
	char *colon = strchr(value, ':');
	if (colon)
		*colon++ = '\0';
	if (parse_u32(value, &base) < 0 || !base || (colon && parse_u32(colon, &count) < 0))
		return refuse(n, "a range is BASE:COUNT, as --idmap has it", err);
	n->f->shifted = true;
	n->f->shift_base = base;
	n->f->shift_count = count;
	snprintf(text, sizeof(text), "%u:%u", base, count);
	return foreign_set(n->f, &n->at, "idmap", text, err);
}

/* Cuts at a colon that no backslash stands before; escapes stay, for ours are the same. */
static char *next_part(char **rest)
{
	char *part = *rest, *s = part;

	while (s && *s && *s != ':')
		s += *s == '\\' && s[1] ? 2 : 1;
	if (s && *s) {
		*s = '\0';
		*rest = s + 1;
	} else {
		*rest = NULL;
	}
	return part;
}

/* SOURCE[:TARGET[:OPTIONS]] */
static int take_bind(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	char *rest = value, *source = next_part(&rest), *target = rest ? next_part(&rest) : source;

	if (*source != '/' || (rest && strcmp(rest, "norbind") != 0 && strcmp(rest, "rbind") != 0))
		return refuse(n, "a directory of the machine is shared with --mount SOURCE:TARGET[:ro]", err);
	buf_printf(&text, "%s:%s%s", source, target, strcmp(s->spec_key, "ro") == 0 ? ":ro" : "");
	int r = buf_check(&text, err);
	return r < 0 ? r : foreign_set(n->f, &n->at, "mount", buf_str(&text), err);
}

static int take_private(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	int yes = truth(value);

	if (yes < 0)
		return refuse(n, NULL, err);
	n->private = yes;
	return yes ? 0 : foreign_set(n->f, &n->at, "net", "host", err);
}

static int take_interface(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	_cleanup_strv_ struct strv words = { 0 };
	int r = strv_split(&words, value, ' ', err);

	n->interfaces = true;
	for (size_t i = 0; i < words.n && r == 0; i++) {
		_cleanup_buf_ struct buf text = { 0 };

		buf_printf(&text, "%s:%s", s->spec_key, words.items[i]);
		r = buf_check(&text, err);
		if (r == 0)
			r = foreign_set(n->f, &n->at, "net", buf_str(&text), err);
	}
	return r;
}

/* Without a bridge it is a pair with the machine. */
static int take_veth(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	int yes = truth(value);

	if (yes <= 0 || n->interfaces)
		return yes < 0 ? refuse(n, NULL, err) : 0;
	n->interfaces = true;
	return foreign_set(n->f, &n->at, "net", "veth", err);
}

/* [PROTOCOL:]HOST[:CONTAINER] */
static int take_port(struct nspawn *n, const struct setting *s, char *value, struct kennel_error **err)
{
	_cleanup_buf_ struct buf text = { 0 };
	bool udp = strncmp(value, "udp:", 4) == 0;

	value += udp || strncmp(value, "tcp:", 4) == 0 ? 4 : 0;
	const char *colon = strchr(value, ':');
	buf_printf(&text, "%.*s:%s%s", (int)strcspn(value, ":"), value, colon ? colon + 1 : value,
		   udp ? "/udp" : "");
	int r = buf_check(&text, err);
	return r < 0 ? r : foreign_set(n->f, &n->at, "publish", buf_str(&text), err);
}

#define LIMITS "limits are --memory, --pids, --cpus and --cpuset"

static const struct setting settings[] = {
	{ "Exec.Boot", take_boot, NULL, NULL },
	{ "Exec.Ephemeral", take_no, NULL, "kennel run --base DIRECTORY is a throwaway" },
	{ "Exec.ProcessTwo", take_nothing, NULL, NULL },
	{ "Exec.Parameters", take_value, "command", NULL },
	{ "Exec.Environment", take_words, "env", NULL },
	{ "Exec.User", take_value, "user", NULL },
	{ "Exec.WorkingDirectory", take_value, "workdir", NULL },
	{ "Exec.Capability", take_words, "cap-add", NULL },
	{ "Exec.DropCapability", take_words, "cap-drop", NULL },
	{ "Exec.NoNewPrivileges", take_flag, "no-new-privs", NULL },
	{ "Exec.Hostname", take_value, "hostname", NULL },
	{ "Exec.PrivateUsers", take_users, NULL, NULL },
	{ "Exec.CPUAffinity", take_value, "cpuset", NULL },
	{ "Exec.NotifyReady", take_no, NULL, NULL },
	{ "Exec.KillSignal", take_nothing, NULL, NULL },
	{ "Exec.ResolvConf", take_nothing, NULL, NULL },
	{ "Exec.Timezone", take_nothing, NULL, NULL },
	{ "Exec.LinkJournal", take_nothing, NULL, NULL },
	{ "Exec.LimitNPROC", take_not, NULL, LIMITS },
	{ "Exec.LimitCPU", take_not, NULL, LIMITS },
	{ "Files.ReadOnly", take_no, NULL, "the base is never written to: changes lie over it" },
	{ "Files.Volatile", take_no, NULL, "kennel run --base DIRECTORY is a throwaway" },
	{ "Files.Bind", take_bind, "rw", NULL },
	{ "Files.BindReadOnly", take_bind, "ro", NULL },
	{ "Files.Inaccessible", take_value, "hide", NULL },
	{ "Files.PrivateUsersChown", take_nothing, NULL, NULL },
	{ "Files.PrivateUsersOwnership", take_nothing, NULL, NULL },
	{ "Network.Private", take_private, NULL, NULL },
	{ "Network.VirtualEthernet", take_veth, NULL, NULL },
	{ "Network.Bridge", take_interface, "bridge", NULL },
	{ "Network.MACVLAN", take_interface, "macvlan", NULL },
	{ "Network.Port", take_port, NULL, NULL },
	{ "Network.IPVLAN", take_not, NULL, "kennel has bridge, veth and macvlan: --net" },
	{ "Network.Zone", take_not, NULL, "kennel has bridge, veth and macvlan: --net" },
};

static int take(struct nspawn *n, char *value, struct kennel_error **err)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (strcmp(settings[i].name, n->at.key) == 0)
			/* an empty one takes back what came before; there is one file only, so nothing did */
			return *value ? settings[i].take(n, &settings[i], value, err) : 0;
	return refuse(n, NULL, err);
}

static char *strip(char *s)
{
	s += strspn(s, " \t");
	size_t len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

static int take_line(struct nspawn *n, char *line, char section[32], struct kennel_error **err)
{
	char key[96];

	line = strip(line);
	if (!*line || *line == '#' || *line == ';')
		return 0;
	size_t len = strlen(line);
	if (*line == '[' && line[len - 1] == ']' && len < 32) {
		snprintf(section, 32, "%.*s", (int)len - 2, line + 1);
		return 0;
	}
	char *value = strchr(line, '=');
	if (!value || !*section)
		return hint(err,
			    fail(err, KENNEL_E_CORRUPT, "%s:%u: this is no setting", n->at.file, n->at.line),
			    "a line is KEY=VALUE, below a [SECTION]");
	*value++ = '\0';
	snprintf(key, sizeof(key), "%s.%s", section, strip(line));
	n->at.key = key;
	int r = take(n, strip(value), err);
	n->at.key = "";
	return r;
}

int foreign_parse_nspawn(const char *file, const char *text, struct foreign *ret, struct kennel_error **err)
{
	_cleanup_free_ char *copy = strdup(text);
	struct nspawn n = { .f = ret, .at = { .key = "", .file = file } };
	char section[32] = "";
	int r = 0;

	*ret = (struct foreign){ .spec = copy ? spec_new(err) : NULL };
	if (!ret->spec)
		return copy ? -KENNEL_E_NOMEM : fail(err, KENNEL_E_NOMEM, "out of memory");
	for (char *rest = copy, *line; r == 0 && (line = strsep(&rest, "\n"));) {
		n.at.line++;
		r = take_line(&n, line, section, err);
	}
	if (r == 0 && n.private && !n.interfaces)
		r = spec_set(ret->spec, "net", "none", err);
	if (r == 0 && !n.no_boot)
		r = spec_set(ret->spec, "boot", "yes", err);
	return r;
}
