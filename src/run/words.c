/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run/words.c - the steps of the child and of init in words: "what was tried", for the sentence that a person
 * reads.
 */
#include "base/macro.h"
#include "run/child.h"
#include "run/init.h"

const char *child_step_phrase(int step)
{
	static const char *const child[] = {
		[CHILD_STEP_SESSION] = "start a session",
		[CHILD_STEP_CGROUP] = "enter the control group",
		[CHILD_STEP_NAMESPACES] = "make the namespaces",
		[CHILD_STEP_FUSE] = "open /dev/fuse",
		[CHILD_STEP_VIEW] = "mount the view of the system",
		[CHILD_STEP_FROZEN] = "open the frozen changes",
		[CHILD_STEP_LOOPBACK] = "bring up the loopback interface",
		[CHILD_STEP_HOSTNAME] = "set the host name",
		[CHILD_STEP_PRIVATE] = "make the mounts private",
		[CHILD_STEP_IDS] = "become root inside",
		[CHILD_STEP_PARENT] = "bind the sandbox to its monitor",
		[CHILD_STEP_STAGE] = "attach a layer",
		[CHILD_STEP_DELTA] = "attach the delta",
		[CHILD_STEP_LAYER] = "prepare a layer",
		[CHILD_STEP_OVERLAY] = "make the overlay",
		[CHILD_STEP_TOP] = "make the root around the copy",
		[CHILD_STEP_PLACE] = "show the guest's kernel a file",
		[CHILD_STEP_TARGET] = "find the mount point",
		[CHILD_STEP_ATTACH] = "mount the copy",
		[CHILD_STEP_TMP] = "mount /tmp and /run",
		[CHILD_STEP_DEV] = "mount /dev",
		[CHILD_STEP_DEV_NODE] = "make the device nodes",
		[CHILD_STEP_DEVPTS] = "mount /dev/pts",
		[CHILD_STEP_PROC] = "mount /proc",
		[CHILD_STEP_SYS] = "mount /sys",
		[CHILD_STEP_MASK] = "cover entries of /proc and /sys",
		[CHILD_STEP_NEST] = "make room for containers inside",
		[CHILD_STEP_CGROUP_MOUNT] = "mount the control groups of the inside",
		[CHILD_STEP_BIND] = "mount what is shared",
		[CHILD_STEP_PTY] = "make the terminal",
		[CHILD_STEP_PIVOT] = "change to the new root",
		[CHILD_STEP_CAPS] = "drop capabilities",
		[CHILD_STEP_NO_NEW_PRIVS] = "set no_new_privs",
		[CHILD_STEP_SECCOMP] = "load the system call filter",
		[CHILD_STEP_FILES] = "close descriptors",
		[CHILD_STEP_INIT] = "run init",
	};
	static const char *const init[] = {
		[INIT_STEP_ARGS - INIT_STEP_ARGS] = "read init's arguments",
		[INIT_STEP_USER - INIT_STEP_ARGS] = "find the user",
		[INIT_STEP_GROUPS - INIT_STEP_ARGS] = "set the groups",
		[INIT_STEP_IDS - INIT_STEP_ARGS] = "become the user",
		[INIT_STEP_WORKDIR - INIT_STEP_ARGS] = "change to the working directory",
		[INIT_STEP_TTY - INIT_STEP_ARGS] = "take the terminal",
		[INIT_STEP_FORK - INIT_STEP_ARGS] = "start a process",
		[INIT_STEP_EXEC - INIT_STEP_ARGS] = "run the command",
		[INIT_STEP_INTERPRETER - INIT_STEP_ARGS] = "find the command's interpreter",
	};

	if (step > 0 && (size_t)step < ARRAY_SIZE(child) && child[step])
		return child[step];
	if (step >= INIT_STEP_ARGS && (size_t)(step - INIT_STEP_ARGS) < ARRAY_SIZE(init))
		return init[step - INIT_STEP_ARGS];
	return "start the sandbox";
}
