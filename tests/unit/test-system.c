/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* unit/test-system.c - which mounts of a machine are copied, and the layers of a live system's root. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "layer/layer.h"

/* One letter a mount, in the order of system_classify(): Copy, New, Skip. */
struct machine {
	const char *name, *text, *want;
};

static const struct machine machines[] = {
	{ "systemd desktop",
	  "22 27 0:20 / /sys rw,nosuid - sysfs sysfs rw\n23 27 0:21 / /proc rw - proc proc rw\n"
	  "24 27 0:5 / /dev rw,nosuid - devtmpfs udev rw\n25 24 0:22 / /dev/pts rw - devpts devpts rw\n"
	  "26 27 0:23 / /run rw - tmpfs tmpfs rw\n27 1 259:2 / / rw,relatime shared:1 - ext4 "
	  "/dev/nvme0n1p2 rw\n"
	  "28 22 0:6 / /sys/kernel/security rw - securityfs securityfs rw\n29 24 0:24 / /dev/shm rw - "
	  "tmpfs tmpfs rw\n"
	  "32 23 0:29 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw,fd=29\n"
	  "33 27 0:30 / /tmp rw - tmpfs tmpfs rw\n34 27 259:1 / /boot/efi rw shared:30 - vfat "
	  "/dev/nvme0n1p1 rw\n"
	  "35 27 0:31 / /home rw - btrfs /dev/nvme0n1p3 rw,subvol=/@home\n36 27 7:0 / /snap/core/1 ro - "
	  "squashfs /dev/loop0 ro\n"
	  "37 27 0:40 / /net rw - autofs /etc/auto.net rw\n38 27 0:41 / /srv/nas rw - nfs4 nas:/x rw\n"
	  "40 26 0:50 / /run/user/1000 rw - tmpfs tmpfs rw\n41 40 0:51 / /run/user/1000/doc rw - "
	  "fuse.portal portal rw,user_id=1000\n"
	  "42 35 0:52 / /home/me/.cache/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw,user_id=1000\n"
	  "43 35 0:53 / /home/me/far rw - fuse.sshfs me@far: rw,user_id=1000,group_id=1000\n"
	  "44 35 0:54 / /home/me/open rw - fuse.sshfs me@far: rw,user_id=1000,group_id=1000,allow_other\n"
	  "45 27 8:17 / /media/stick rw - fuseblk /dev/sdb1 rw,user_id=0,group_id=0,allow_other\n"
	  "46 27 0:55 / /data rw - zfs pool/data rw\n47 27 8:33 / /odd rw - newfs /dev/sdc1 rw\n"
	  "48 27 0:56 / /odder rw - weirdfs none rw\n49 27 0:57 / /var/lib/nfs/rpc_pipefs rw - "
	  "rpc_pipefs sunrpc rw\n"
	  "50 27 0:58 / /srv/jail/proc rw - proc proc rw\n51 27 0:59 / /tmpfiles rw - tmpfs tmpfs rw\n",
	  "/=C /boot/efi=C /data=C /dev=N /dev/pts=N /dev/shm=N /home=C /home/me/.cache/gvfs=S "
	  "/home/me/far=S /home/me/open=C "
	  "/media/stick=C /net=S /odd=C /odder=S /proc=N /proc/sys/fs/binfmt_misc=N /run=N "
	  "/run/user/1000=N /run/user/1000/doc=N "
	  "/snap/core/1=C /srv/jail/proc=S /srv/nas=C /sys=N /sys/kernel/security=N /tmp=N /tmpfiles=C "
	  "/var/lib/nfs/rpc_pipefs=S " },
	{ "live Debian",
	  "20 1 0:20 / / rw - overlay overlay rw,lowerdir=/run/live/rootfs/filesystem.squashfs/,"
	  "upperdir=/run/live/overlay/rw,workdir=/run/live/overlay/work\n"
	  "21 20 0:21 / /run rw - tmpfs tmpfs rw\n22 21 8:1 / /run/live/medium ro - iso9660 /dev/sdb1 ro\n"
	  "23 21 7:0 / /run/live/rootfs/filesystem.squashfs ro - squashfs /dev/loop0 ro\n24 20 0:23 / "
	  "/usr/lib/live/mount rw - tmpfs tmpfs rw\n",
	  "/=C /run=N /run/live/medium=N /run/live/rootfs/filesystem.squashfs=N /usr/lib/live/mount=C " },
	{ "Puppy on aufs",
	  "14 17 0:1 / /initrd rw - rootfs rootfs rw\n15 14 0:13 / /initrd/pup_rw rw - tmpfs tmpfs rw\n"
	  "16 14 7:0 / /initrd/pup_ro2 ro - squashfs /dev/loop0 ro\n17 1 0:16 / / rw - aufs unionfs rw,"
	  "si=6b1a2c3d\n"
	  "18 17 0:17 / /dev rw - devtmpfs none rw\n", "/=C /dev=N /initrd=C /initrd/pup_ro2=C "
	  "/initrd/pup_rw=C " },
	{ "docker host",
	  "20 1 8:1 / / rw - xfs /dev/sda1 rw\n21 20 8:2 / /var/lib/docker rw - ext4 /dev/sda2 rw\n"
	  "22 21 0:40 / /var/lib/docker/overlay2/0a1b/merged rw - overlay overlay rw,lowerdir=/l/A:/l/B,"
	  "upperdir=/d/diff,workdir=/d/work\n"
	  "23 21 0:41 / /var/lib/docker/containers/77/mounts/shm rw - tmpfs shm rw\n24 21 8:3 / "
	  "/var/lib/docker/volumes rw - ext4 /dev/sda3 rw\n"
	  "25 20 0:42 / /run rw - tmpfs tmpfs rw\n26 25 0:4 net:[4026532281] /run/docker/netns/default "
	  "rw - nsfs nsfs rw\n"
	  "27 20 0:4 mnt:[4026532282] /var/ns rw - nsfs nsfs rw\n28 20 0:43 / /sys/fs/cgroup rw - "
	  "cgroup2 cgroup2 rw\n"
	  "29 20 8:4 / /var/lib/kennel rw - btrfs /dev/sda4 rw\n30 29 7:3 / /var/lib/kennel/store/a rw - "
	  "ext4 /dev/loop3 rw\n",
	  "/=C /run=N /run/docker/netns/default=N /sys/fs/cgroup=N /var/lib/docker=C "
	  "/var/lib/docker/containers/77/mounts/shm=S "
	  "/var/lib/docker/overlay2/0a1b/merged=S /var/lib/docker/volumes=C /var/lib/kennel=C "
	  "/var/lib/kennel/store/a=S /var/ns=S " },
	{ "mounted twice",
	  "24 27 0:6 / /dev rw - devtmpfs d rw\n25 24 0:23 / /dev/shm rw - tmpfs t rw\n27 1 254:0 / / rw "
	  "- ext4 /dev/vda rw\n"
	  "30 25 0:27 / /dev/shm rw - tmpfs t rw\n", "/=C /dev=N /dev/shm=S /dev/shm=N " },
};

static void classify(const char *text, const struct strv *without, struct mount_table *t,
		     struct system_mount **ret)
{
	assert_int_equal(mount_table_parse(text, strlen(text), t, NULL), 0);
	assert_int_equal(system_classify(t, without, ret, NULL), 0);
}

static void test_system_classify_machines(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		_cleanup_free_ struct system_mount *m = NULL;
		_cleanup_buf_ struct buf got = { 0 };
		struct mount_table t = { 0 };

		classify(machines[i].text, NULL, &t, &m);
		for (size_t k = 0; k < t.n; k++) {
			buf_printf(&got, "%s=%c ", m[k].entry->target,
				   m[k].verdict == SYSTEM_COPY ? 'C' :
				   m[k].verdict == SYSTEM_NEW  ? 'N' :
								 'S');
			assert_int_equal(m[k].verdict == SYSTEM_COPY, !*m[k].reason);
		}
		assert_string_equal(buf_str(&got), machines[i].want);
		mount_table_done(&t);
	}
}

static const char *reason_of(const struct mount_table *t, const struct system_mount *m, const char *target)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(m[i].entry->target, target) == 0)
			return m[i].reason;
	return "not in the table";
}

static void test_system_classify_reasons_are_for_people(void **state)
{
	_cleanup_free_ struct system_mount *m = NULL, *docker = NULL, *twice = NULL;
	struct mount_table t = { 0 }, td = { 0 }, tt = { 0 };

	classify(machines[0].text, NULL, &t, &m);
	assert_string_equal(reason_of(&t, m, "/net"), "a kernel interface");
	assert_string_equal(reason_of(&t, m, "/tmp"), "made new inside");
	assert_string_equal(reason_of(&t, m, "/home/me/far"),
			    "a FUSE mount that only its own user may enter");
	assert_string_equal(reason_of(&t, m, "/home/me/.cache/gvfs"), "a window into a desktop session");
	assert_non_null(strstr(reason_of(&t, m, "/odder"), "unknown"));
	classify(machines[3].text, NULL, &td, &docker);
	assert_string_equal(reason_of(&td, docker, "/var/lib/kennel/store/a"), "kennel's own");
	assert_non_null(strstr(reason_of(&td, docker, "/var/lib/docker/containers/77/mounts/shm"),
			       "running container"));
	classify(machines[4].text, NULL, &tt, &twice);
	assert_string_equal(reason_of(&tt, twice, "/dev/shm"), "mounted over");
	mount_table_done(&t);
	mount_table_done(&td);
	mount_table_done(&tt);
}

static void test_system_classify_without_leaves_out_what_is_below(void **state)
{
	_cleanup_free_ struct system_mount *m = NULL;
	_cleanup_strv_ struct strv without = { 0 };
	_cleanup_error_ struct kennel_error *err = NULL;
	struct mount_table t = { 0 };

	assert_int_equal(strv_add(&without, "/home", NULL), 0);
	assert_int_equal(strv_add(&without, "/da", NULL), 0);
	classify(machines[0].text, &without, &t, &m);
	assert_string_equal(reason_of(&t, m, "/home"), "left out by --without");
	assert_string_equal(reason_of(&t, m, "/home/me/open"), "left out by --without");
	assert_string_equal(reason_of(&t, m, "/data"), "");
	struct system_mount *none = NULL;
	assert_int_equal(strv_add(&without, "/", NULL), 0);
	assert_int_equal(system_classify(&t, &without, &none, &err), -KENNEL_E_INVALID);
	assert_non_null(strstr(kennel_error_message(err), "nothing"));
	mount_table_done(&t);
}

static void test_system_classify_this_machine_copies_its_root(void **state)
{
	_cleanup_free_ struct system_mount *m = NULL;
	struct mount_table t = { 0 };

	assert_int_equal(mount_table_read(&t, NULL), 0);
	assert_int_equal(system_classify(&t, NULL, &m, NULL), 0);
	if (!mount_table_find(&t, "/")) {
		mount_table_done(&t);
		skip_test("the root directory is not a mount (a plain chroot)");
	}
	unsigned roots = 0;
	for (size_t i = 0; i < t.n; i++)
		roots += strcmp(m[i].entry->target, "/") == 0 && m[i].verdict == SYSTEM_COPY;
	assert_int_equal(roots, 1);
	mount_table_done(&t);
}

/* text: the root's type and super options; want: the layers, each with a "|" behind it */
static const struct {
	const char *fstype, *options, *want;
} stacks[] = {
	{ "ext4", "rw,upperdir=/x", "" },
	{ "overlay", "rw,lowerdir=/a:/b,upperdir=/u,workdir=/w,uuid=on", "/u|/a|/b|" },
	{ "overlay", "ro,lowerdir=/only", "/only|" },
	{ "overlay", "rw,lowerdir=/a::/data,redirect_dir=on", "/a|/data|" },
	{ "overlay", "rw,lowerdir+=/lo\\054w:er\\040\\134x=1,lowerdir+=/plain,datadir+=/d",
	  "/lo,w:er \\x=1|/plain|/d|" },
	/* as this kernel showed lowerdir=lo\,w\:er \\x=1:plain,upperdir=up\,p\:er\\y z=2 */
	{ "overlay", "rw,lowerdir=lo\\134\\054w\\134:er\\040\\134\\134x=1:plain,"
	  "upperdir=up\\134\\054p\\134:er\\134\\134y\\040z=2",
	  "up,p:er\\y z=2|lo,w:er \\x=1|plain|" },
	{ "overlay", "rw,lowerdir=/end\\134", "/end\\|" },
	{ "aufs", "rw,si=1234,br:/rw=rw:/ro\\072x\\040y=ro+wh:/a=b=rr", "/rw|/ro:x y|/a=b|" },
};

static void test_system_root_layers_undoes_escapes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(stacks); i++) {
		_cleanup_strv_ struct strv v = { 0 };
		_cleanup_buf_ struct buf text = { 0 }, got = { 0 };
		struct mount_table t = { 0 };

		buf_printf(&text, "1 0 0:1 / / rw - %s none %s\n", stacks[i].fstype, stacks[i].options);
		assert_int_equal(mount_table_parse(text.data, text.len, &t, NULL), 0);
		assert_int_equal(system_root_layers(&t, &v, NULL), 0);
		for (size_t k = 0; k < v.n; k++)
			buf_printf(&got, "%s|", v.items[k]);
		assert_string_equal(buf_str(&got), stacks[i].want);
		mount_table_done(&t);
	}
}

static void test_system_root_layers_aufs_id_must_be_plain(void **state)
{
	static const char *const texts[] = { "1 0 0:1 / / rw - aufs none rw,si=../../../etc\n",
					     "1 0 0:1 / / rw - aufs none rw,si=\n",
					     "1 0 0:1 / / rw - aufs none rw\n",
					     "1 0 0:1 / / rw - aufs none rw,si=00\n" };
	static const int codes[] = { -KENNEL_E_CORRUPT, -KENNEL_E_CORRUPT, -KENNEL_E_UNSUPPORTED,
				     -KENNEL_E_NOTFOUND };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_cleanup_error_ struct kennel_error *err = NULL;
		_cleanup_strv_ struct strv v = { 0 };
		struct mount_table t = { 0 };

		assert_int_equal(mount_table_parse(texts[i], strlen(texts[i]), &t, NULL), 0);
		assert_int_equal(system_root_layers(&t, &v, &err), codes[i]);
		assert_non_null(strstr(kennel_error_message(err), "layers of the root"));
		assert_int_equal(v.n, 0);
		mount_table_done(&t);
	}
}

static void write_file(int dir_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void test_layer_aufs_branches_reads_sysfs(void **state)
{
	static const char *const files[] = { "br0", "br1", "br2", "brid0" };
	_cleanup_strv_ struct strv v = { 0 };
	char dir[] = "/tmp/kennel-aufs-XXXXXX";

	assert_non_null(mkdtemp(dir));
	_cleanup_close_ int dir_fd = open(dir, O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(mkdirat(dir_fd, "si_ab12", 0755), 0);
	_cleanup_close_ int si_fd = openat(dir_fd, "si_ab12", O_DIRECTORY | O_CLOEXEC);
	write_file(si_fd, "br0", "/initrd/pup_rw=rw\n");
	write_file(si_fd, "br1", "/initrd/pup\\040ro1=ro+wh\n");
	write_file(si_fd, "br2", "/initrd/a=b=ro\n");
	write_file(si_fd, "brid0", "64\n");
	int r = layer_aufs_branches(dir, "ab12", &v, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		assert_int_equal(unlinkat(si_fd, files[i], 0), 0);
	assert_int_equal(unlinkat(dir_fd, "si_ab12", AT_REMOVEDIR), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(r, 0);
	assert_int_equal(v.n, 3);
	assert_string_equal(v.items[0], "/initrd/pup_rw");
	assert_string_equal(v.items[1], "/initrd/pup ro1");
	assert_string_equal(v.items[2], "/initrd/a=b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system_classify_machines),
		cmocka_unit_test(test_system_classify_reasons_are_for_people),
		cmocka_unit_test(test_system_classify_without_leaves_out_what_is_below),
		cmocka_unit_test(test_system_classify_this_machine_copies_its_root),
		cmocka_unit_test(test_system_root_layers_undoes_escapes),
		cmocka_unit_test(test_system_root_layers_aufs_id_must_be_plain),
		cmocka_unit_test(test_layer_aufs_branches_reads_sysfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
