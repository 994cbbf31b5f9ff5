/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* conf/spec-check.c - what can't be asked for together; see spec.h. */
#include <string.h>

#include "base/error.h"
#include "base/macro.h"
#include "conf/network.h"
#include "conf/spec.h"

/* A guest has what its own kernel has; of this one's things it gets files and a network, nothing else. */
static int check_vm(const struct spec *s, struct kennel_error **err)
{
	/* and what does in their place */
	static const char *const passing[][2] = { { "wayland", "x11" }, { "pipewire", "pulseaudio" } };

	if (s->n_devices)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED, "a kernel of its own can't use the device \"%s\"",
				 s->devices[0].path),
			    "take --isolate user, or leave out --device");
	for (size_t i = 0; i < ARRAY_SIZE(passing); i++)
		if (strv_has(&s->sockets, passing[i][0]))
			return hint(
				err,
				fail(err, KENNEL_E_UNSUPPORTED,
				     "over the socket \"%s\" descriptors are passed, and none come into a "
				     "kernel of its own",
				     passing[i][0]),
				"--socket %s does there, where the session has that, or take --isolate user",
				passing[i][1]);
	if (s->cap_add || s->cap_drop)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "capabilities are not chosen where root inside has a kernel of its own"),
			    "leave out --cap-add and --cap-drop: nothing of this machine is in their reach");
	/* It takes over what is there: addresses of others must not be. */
	if (s->net == SPEC_NET_HOST || s->net == SPEC_NET_NS || s->net == SPEC_NET_CONTAINER)
		return hint(err,
			    fail(err, KENNEL_E_UNSUPPORTED,
				 "a kernel of its own has a network of its own, not that of others (%s)",
				 spec_net_name(s->net)),
			    "take --net nat or an interface, or --isolate user");
	return 0;
}

static int check_isolate(const struct spec *s, struct kennel_error **err)
{
	if (s->idmap == SPEC_IDMAP_RANGE && s->isolate != SPEC_ISOLATE_AUTO &&
	    s->isolate != SPEC_ISOLATE_USER && s->isolate != SPEC_ISOLATE_VM)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "idmap needs isolation \"user\", not \"%s\"",
				 spec_isolate_name(s->isolate)),
			    "leave out either --idmap or --isolate");
	if (s->idmap == SPEC_IDMAP_NO && (s->isolate == SPEC_ISOLATE_USER || s->isolate == SPEC_ISOLATE_VM))
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "isolation \"%s\" can't go without shifted ids",
				 spec_isolate_name(s->isolate)),
			    "take --isolate ns, or leave out --idmap no");
	if (s->nest && (s->isolate == SPEC_ISOLATE_FS || s->isolate == SPEC_ISOLATE_NS))
		return hint(
			err,
			fail(err, KENNEL_E_INVALID, "--nest needs isolation \"user\", not \"%s\"",
			     spec_isolate_name(s->isolate)),
			"only there is root of the inside allowed to make namespaces and mounts of its own");
	if (s->isolate == SPEC_ISOLATE_VM)
		return check_vm(s, err);
	if (s->n_drives)
		return hint(err,
			    fail(err, KENNEL_E_INVALID, "the drive \"%s\" is for a kernel of its own",
				 s->drives[0].path),
			    "add --isolate vm, or mount it: --base and --layer take images at each level");
	if (s->isolate != SPEC_ISOLATE_FS)
		return 0;
	if (s->boot)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "isolation \"fs\" has no process 1 that an init could be"),
			    "take --isolate ns or user");
	if (s->net != SPEC_NET_AUTO && s->net != SPEC_NET_HOST)
		return hint(err,
			    fail(err, KENNEL_E_INVALID,
				 "net \"%s\" needs a network of its own, which isolation \"fs\" lacks",
				 spec_net_name(s->net)),
			    "take --isolate ns or user");
	if (s->hostname)
		return hint(err, fail(err, KENNEL_E_INVALID, "isolation \"fs\" has no host name of its own"),
			    "take --isolate ns or user, or leave out --hostname");
	return 0;
}

/* Two things can't stand at one place; one below the other can ("hide /home, share /home/me/src"). */
static int check_targets(const struct spec *s, struct kennel_error **err)
{
	for (size_t i = 0; i < s->n_mounts; i++) {
		const char *target = s->mounts[i].target;

		for (size_t j = 0; j < i; j++)
			if (strcmp(s->mounts[j].target, target) == 0)
				return fail(err, KENNEL_E_INVALID, "two things are to be mounted at \"%s\"",
					    target);
		if (strv_has(&s->hide, target))
			return fail(err, KENNEL_E_INVALID, "\"%s\" can't be both hidden and mounted", target);
	}
	return 0;
}

int spec_check(const struct spec *s, struct kennel_error **err)
{
	int r = check_isolate(s, err);

	if (r == 0)
		r = check_targets(s, err);
	if (r == 0)
		r = network_check(s, err);
	if (r == 0 && (s->dbus_talk.n || s->dbus_own.n) && !strv_has(&s->sockets, "session-bus"))
		r = hint(err,
			 fail(err, KENNEL_E_INVALID, "%s is about a session bus that is not there inside",
			      s->dbus_talk.n ? "dbus-talk" : "dbus-own"),
			 "add --socket session-bus");
	if (r == 0 && s->boot && (s->user || s->workdir))
		r = hint(err,
			 fail(err, KENNEL_E_INVALID,
			      "an init that boots the copy is root and begins at \"/\""),
			 "leave --user and --workdir out, or --boot");
	if (r == 0 && spec_has_hooks(s) && s->file)
		r = hint(err, fail(err, KENNEL_E_INVALID, "hooks are not run for a container in a file"),
			 "keep it by name: --keep");
	if (r == 0 && s->file && s->keep)
		r = hint(err, fail(err, KENNEL_E_INVALID, "changes are kept in a file or by name, not both"),
			 "leave --file or --keep out");
	if (r == 0 && (s->file || s->keep))
		r = limits_check_kept(&s->limits, s->file, err);
	if (r == 0 && s->cap_add & s->cap_drop && s->cap_add != UINT64_MAX && s->cap_drop != UINT64_MAX)
		r = fail(err, KENNEL_E_INVALID, "the same capability is both added and dropped");
	return r;
}
