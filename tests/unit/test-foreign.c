/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-foreign.c - configurations of LXC and systemd-nspawn: what becomes of each key. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "conf/foreign.h"

static int read_files(void *data, const char *path, struct buf *ret, struct kennel_error **err)
{
	if (strcmp(path, "/more") == 0)
		buf_puts(ret, "lxc.environment = MORE=1\nlxc.cap.drop =\nlxc.include = /last\n");
	else if (strcmp(path, "/last") == 0)
		buf_puts(ret, "lxc.group = last\n");
	else if (strcmp(path, "/loop") == 0)
		buf_puts(ret, "lxc.include = /loop\n");
	else if (strcmp(path, "/fstab") == 0)
		buf_puts(ret, "# nothing\n/srv srv none bind,ro 0 0\n\n/opt opt none bind 0 0\n");
	else
		return 0;
	return buf_check(ret, err) < 0 ? -KENNEL_E_NOMEM : 1;
}

struct row {
	const char *text;
	const char *settings; /* "key=value;..." of what the spec was given, without boot */
	const char *refused; /* or NULL */
};

static void check_row(const struct row *row, const struct foreign *f)
{
	_cleanup_buf_ struct buf settings = { 0 }, refused = { 0 };

	for (size_t i = 0; i + 1 < f->spec->given.n; i += 2)
		if (strcmp(f->spec->given.items[i], "boot") != 0)
			buf_printf(&settings, "%s%s=%s", settings.len ? ";" : "", f->spec->given.items[i],
				   f->spec->given.items[i + 1]);
	for (size_t i = 0; i < f->refused.n; i++)
		buf_printf(&refused, "%s%s", i ? ", " : "", f->refused.items[i]);
	assert_string_equal(buf_str(&settings), row->settings);
	assert_string_equal(buf_str(&refused), row->refused ? row->refused : "");
}

static void test_foreign_parse_lxc_keys(void **state)
{
	static const struct row rows[] = {
		{ "", "", NULL },
		{ "# x\n\n \t\nlxc.uts.name = \"web\"\n", "hostname=web", NULL },
		{ "lxc.utsname=web", "hostname=web", NULL },
		{ "lxc.uts.name = a\nlxc.uts.name = b\n", "hostname=a;hostname=b", NULL },
		{ "lxc.uts.name = no/name\n", "", "lxc.uts.name (c:1)" },
		{ "lxc.cap.drop = sys_module mac_admin\nlxc.cap.drop = sys_time",
		  "cap-drop=sys_module;cap-drop=mac_admin;cap-drop=sys_time", NULL },
		{ "lxc.cap.drop = sys_module\nlxc.cap.drop =\n", "", NULL },
		{ "lxc.cap.keep = chown setuid\nlxc.cap.keep = kill",
		  "cap-drop=ALL;cap-add=chown;cap-add=setuid;cap-add=kill", NULL },
		{ "lxc.cap.keep = none", "cap-drop=ALL", NULL },
		{ "lxc.cap.drop = no_such", "", "lxc.cap.drop (c:1)" },
		{ "lxc.cgroup2.memory.max = 512M\nlxc.cgroup2.pids.max = max\nlxc.cgroup.cpuset.cpus = 0-1",
		  "memory=512M;cpuset=0-1", NULL },
		{ "lxc.cgroup.memory.limit_in_bytes = 1G\nlxc.cgroup.pids.max = 50", "memory=1G;pids=50",
		  NULL },
		{ "lxc.cgroup2.cpu.max = 150000 100000", "cpus=1.500", NULL },
		{ "lxc.cgroup2.cpu.max = max 100000", "", NULL },
		{ "lxc.cgroup.cpu.cfs_period_us = 50000\nlxc.cgroup.cpu.cfs_quota_us = 25000", "cpus=0.500",
		  NULL },
		{ "lxc.cgroup2.cpu.weight = 5\nlxc.cgroup.blkio.weight = 9", "",
		  "lxc.cgroup2.cpu.weight (c:1), lxc.cgroup.blkio.weight (c:2)" },
		{ "lxc.cgroup.devices.deny = a\nlxc.cgroup.devices.allow = "
		  "c 1:3 rwm\nlxc.cgroup2.devices.allow = c *:* m",
		  "", NULL },
		{ "lxc.cgroup2.devices.allow = c 10:200 rwm\nlxc.cgroup2.devices.allow "
		  "= a\nlxc.cgroup2.devices.allow = b *:* rwm",
		  "device=/dev/net/tun",
		  "lxc.cgroup2.devices.allow (c:2), lxc.cgroup2.devices.allow "
		  "(c:3)" },
		{ "lxc.start.auto = 1\nlxc.start.delay = 5\nlxc.start.order "
		  "= 10\nlxc.group = onboot\nlxc.group = web",
		  "autostart=yes;start-delay=5;start-order=10;start-group=onboot;start-group=web", NULL },
		{ "lxc.start.auto = 0", "", NULL },
		{ "lxc.start.auto = maybe", "", "lxc.start.auto (c:1)" },
		{ "lxc.environment = A=b c", "env=A=b c", NULL },
		{ "lxc.init.cmd = /bin/x -y", "command=/bin/x -y", NULL },
		{ "lxc.init.cmd = /sbin/init", "", NULL },
		{ "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536", "idmap=100000:65536", NULL },
		{ "lxc.id_map = b 0 100000 65536", "idmap=100000:65536", NULL },
		{ "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 200000 65536", "", "lxc.idmap (c:2)" },
		{ "lxc.idmap = u 0 100000 1000\nlxc.idmap = u 1000 1000 1\nlxc.idmap = g 0 100000 1000", "",
		  "lxc.idmap (c:3)" },
		{ "lxc.idmap = u 0 100000", "", "lxc.idmap (c:1)" },
		{ "lxc.mount.entry = /srv srv none bind,ro,create=dir 0 0", "mount=/srv:/srv:ro", NULL },
		{ "lxc.mount.entry = /a\\040b:c d/e none rbind 0 0", "mount=/a b\\:c:/d/e", NULL },
		{ "lxc.rootfs.path = dir:/r\nlxc.mount.entry = /srv /r/srv none bind", "mount=/srv:/srv",
		  NULL },
		{ "lxc.mount.entry = proc proc proc nodev 0 0\nlxc.mount.entry "
		  "= shm dev/shm tmpfs defaults\nlxc.mount.entry = /sys/kernel/debug "
		  "sys/kernel/debug none bind,optional 0 0",
		  "", NULL },
		{ "lxc.mount.entry = tmpfs var/x tmpfs size=1m 0 0\nlxc.mount.entry = /srv", "",
		  "lxc.mount.entry (c:1), lxc.mount.entry (c:2)" },
		{ "lxc.mount.entry = /srv srv none bind,frob", "", "lxc.mount.entry (c:1)" },
		{ "lxc.mount.fstab = /fstab", "mount=/srv:/srv:ro;mount=/opt:/opt", NULL },
		{ "lxc.mount = /nowhere", "", "lxc.mount (c:1)" },
		{ "lxc.mount.auto = proc:mixed sys:ro cgroup", "", NULL },
		{ "lxc.mount.auto = shmounts:/x", "", "lxc.mount.auto (c:1)" },
		{ "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net.0.flags "
		  "= up\nlxc.net.0.name = lan\nlxc.net.0.ipv4.address = 10.0.3.5/24 "
		  "10.0.3.255\nlxc.net.0.ipv4.gateway = 10.0.3.1\nlxc.net.0.hwaddr "
		  "= 02:16:3e:00:00:01",
		  "net=bridge:br0,name=lan,ip=10.0.3.5/24,gw=10.0.3.1,mac=02:16:3e:00:00:01", NULL },
		{ "lxc.net.0.type = veth\nlxc.net.0.hwaddr = 00:16:3e:xx:xx:xx\n"
		  "lxc.net.1.type = macvlan\nlxc.net.1.link = eth0\nlxc.net.1.ipv6.address "
		  "= fd00::5",
		  "net=veth;net=macvlan:eth0,ip6=fd00::5/64", NULL },
		{ "lxc.network.type = veth\nlxc.network.link = br0\nlxc.network.type "
		  "= veth\nlxc.network.link = br1",
		  "net=bridge:br0;net=bridge:br1", NULL },
		{ "lxc.net.0.type = none", "net=host", NULL },
		{ "lxc.net.0.type = empty", "net=none", NULL },
		{ "lxc.net.0.type = veth\nlxc.net.0.link = br0\nlxc.net =\nlxc.net.0.type = empty",
		  "net=none", NULL },
		{ "lxc.net.0.type = phys\nlxc.net.0.link = eth1\nlxc.net.1.script.up "
		  "= /x\nlxc.net.99.type = veth",
		  "", "lxc.net.1.script.up (c:3), lxc.net.99.type (c:4), lxc.net.0.type (c:1)" },
		{ "lxc.hook.start = /x\nlxc.hook.clone = /usr/share/lxc/hooks/clonehostname\n"
		  "lxc.prlimit.nofile = 5\nlxc.frobnicate = 1",
		  "", "lxc.hook.start (c:1), lxc.prlimit.nofile (c:3), lxc.frobnicate (c:4)" },
		{ "lxc.apparmor.profile = unconfined\nlxc.seccomp.profile = "
		  "/x\nlxc.apparmor.allow_nesting = 1",
		  "nest=yes", "lxc.apparmor.profile (c:1), lxc.seccomp.profile (c:2)" },
		{ "lxc.cap.drop = chown\nlxc.include = /more\nlxc.include = "
		  "/usr/share/lxc/config/common.conf",
		  "env=MORE=1;start-group=last", NULL },
		{ "lxc.include = /usr/share/lxc/config/nesting.conf\nlxc.include = /nowhere", "nest=yes",
		  "lxc.include (c:2)" },
		{ "lxc.rootfs.options = ro", "", "lxc.rootfs.options (c:1)" },
		{ "lxc.rootfs.path = lvm:/dev/vg/x\n", "", "lxc.rootfs.path (c:1)" },
		{ "lxc.rootfs.path = overlay:/a", "", "lxc.rootfs.path (c:1)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct foreign f = { 0 };

		assert_int_equal(foreign_parse_lxc("c", rows[i].text, read_files, NULL, &f, NULL), 0);
		check_row(&rows[i], &f);
		foreign_done(&f);
	}
}

static void test_foreign_parse_lxc_tree_ids_and_boot(void **state)
{
	struct foreign f = { 0 };

	assert_int_equal(foreign_parse_lxc("c",
					   "lxc.rootfs.path = overlay:/a:/b\nlxc.idmap = b 0 7 9\n"
					   "lxc.mount.entry = /no/where x none bind,optional\n",
					   NULL, NULL, &f, NULL),
			 0);
	assert_string_equal(f.root, "/a");
	assert_string_equal(f.upper, "/b");
	assert_true(f.shifted && f.shift_base == 7 && f.shift_count == 9 && f.spec->boot);
	assert_int_equal(f.optional.n, 2);
	assert_string_equal(f.optional.items[1], "/no/where:/x");
	foreign_done(&f);
	assert_int_equal(
		foreign_parse_lxc("c", "lxc.rootfs = /r\nlxc.init_cmd = /bin/x", NULL, NULL, &f, NULL), 0);
	assert_string_equal(f.root, "/r");
	assert_false(f.spec->boot);
	foreign_done(&f);
}

static void test_foreign_parse_lxc_damaged(void **state)
{
	_cleanup_error_ struct kennel_error *err = NULL;
	struct foreign f = { 0 };

	assert_int_equal(foreign_parse_lxc("c", "lxc.uts.name = x\nwhat\n", NULL, NULL, &f, &err),
			 -KENNEL_E_CORRUPT);
	assert_string_equal(kennel_error_message(err), "c:2: there is no \"=\"");
	foreign_done(&f);
	assert_int_equal(foreign_parse_lxc("c", "lxc.include = /loop\n", read_files, NULL, &f, NULL),
			 -KENNEL_E_LIMIT);
	foreign_done(&f);
	assert_true(foreign_is_lxc("# x\n\n  lxc.uts.name = 1"));
	assert_false(foreign_is_lxc("[container]\n# lxc.uts.name"));
	assert_false(foreign_is_lxc(""));
}

static void test_foreign_parse_nspawn_settings(void **state)
{
	static const struct row rows[] = {
		{ "", "", NULL },
		{ "[Exec]\nBoot=no\nParameters=/bin/x \"a b\"\nEnvironment=A=1 "
		  "\"B=2 3\"\nUser=web\nWorkingDirectory=/srv\nHostname=pup",
		  "command=/bin/x \"a b\";env=A=1;env=B=2 3;user=web;workdir=/srv;hostname=pup", NULL },
		{ "[Exec]\nCapability=CAP_NET_ADMIN CAP_CHOWN\nDropCapability=CAP_KILL\n"
		  "NoNewPrivileges=yes",
		  "cap-add=CAP_NET_ADMIN;cap-add=CAP_CHOWN;cap-drop=CAP_KILL;no-new-privs=yes", NULL },
		{ "[Exec]\nPrivateUsers=pick\n", "", NULL },
		{ "[Exec]\nPrivateUsers=100000:65536\n", "idmap=100000:65536", NULL },
		{ "[Exec]\nPrivateUsers=no\n", "isolate=ns", NULL },
		{ "[Exec]\nPrivateUsers=identity\nSystemCallFilter=x\nEphemeral=yes", "",
		  "Exec.PrivateUsers (c:2), Exec.SystemCallFilter (c:3), Exec.Ephemeral (c:4)" },
		{ "[Files]\nBind=/srv\nBindReadOnly=/a:/b\nBind=/c\\:d:/e:norbind\n"
		  "Inaccessible=/x\nReadOnly=no",
		  "mount=/srv:/srv;mount=/a:/b:ro;mount=/c\\:d:/e;hide=/x", NULL },
		{ "[Files]\nBind=+/srv\nOverlay=/a:/b\nVolatile=state", "",
		  "Files.Bind (c:2), Files.Overlay (c:3), Files.Volatile (c:4)" },
		{ "[Network]\nPrivate=yes", "net=none", NULL },
		{ "[Network]\nPrivate=no", "net=host", NULL },
		{ "[Network]\nVirtualEthernet=yes\nPort=tcp:8080:80\nPort=53",
		  "net=veth;publish=8080:80;publish=53:53", NULL },
		{ "[Network]\nBridge=br0\nVirtualEthernet=yes\nMACVLAN=eth0 eth1\nZone=x",
		  "net=bridge:br0;net=macvlan:eth0;net=macvlan:eth1", "Network.Zone (c:5)" },
		{ "; x\n# y\n[Exec]\nUser=\nTimezone=off", "", NULL },
	};
	_cleanup_error_ struct kennel_error *err = NULL;
	struct foreign f = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(foreign_parse_nspawn("c", rows[i].text, &f, NULL), 0);
		check_row(&rows[i], &f);
		foreign_done(&f);
	}
	assert_int_equal(foreign_parse_nspawn("c", "Boot=yes", &f, &err), -KENNEL_E_CORRUPT);
	assert_string_equal(kennel_error_message(err), "c:1: this is no setting");
	foreign_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_parse_lxc_keys),
		cmocka_unit_test(test_foreign_parse_lxc_tree_ids_and_boot),
		cmocka_unit_test(test_foreign_parse_lxc_damaged),
		cmocka_unit_test(test_foreign_parse_nspawn_settings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
