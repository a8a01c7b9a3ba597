/* What a confined program may try that a shell cannot say: one attempt a name.
 *
 * It ends with 0 when the attempt has worked, 1 when it was refused, 2 when there is no such name. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *name_of(const char *variable) {
    const char *value = getenv(variable);
    return value ? value : "";
}
static long number_of(const char *variable) { return atol(name_of(variable)); }
static int worked(long result) {
    if (result < 0) fprintf(stderr, "%s\n", strerror(errno));
    return result < 0 ? 1 : 0;
}
static int append_to(int file) {
    if (file < 0) return worked(-1);
    return worked(write(file, "changed", 7));
}

static int openat_path(void) {
    int dir = open(name_of("O"), O_PATH | O_DIRECTORY);
    return append_to(openat(dir, "victim", O_WRONLY | O_APPEND));
}
static int reopen_path(void) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", open(name_of("VICTIM"), O_PATH));
    return append_to(open(link, O_WRONLY | O_APPEND));
}
static int exchange(void) {
    return worked(syscall(SYS_renameat2, AT_FDCWD, "own", AT_FDCWD, name_of("VICTIM"), 2));
}
static int cut(void) { return worked(truncate(name_of("VICTIM"), 0)); }
static int mark(void) { return worked(setxattr(name_of("VICTIM"), "user.mark", "x", 1, 0)); }
static int give(void) { return worked(chown(name_of("VICTIM"), 65533, (gid_t)-1)); }
static int by_handle(void) {
    struct { struct file_handle head; unsigned char bytes[128]; } handle;
    int mount;
    handle.head.handle_bytes = sizeof handle.bytes;
    if (name_to_handle_at(AT_FDCWD, name_of("SECRET"), &handle.head, &mount, 0) < 0) return worked(-1);
    int dir = open(name_of("W"), O_RDONLY | O_DIRECTORY);
    int file = open_by_handle_at(dir, &handle.head, O_RDONLY);
    char byte;
    return file < 0 ? worked(-1) : read(file, &byte, 1) == 1 ? 0 : 1;
}
static int new_mount(void) { return worked(syscall(SYS_fsopen, "tmpfs", 0)); }
static int tree(void) { return worked(syscall(SYS_open_tree, AT_FDCWD, name_of("O"), 1 /* clone */)); }
static int new_root(void) { return worked(chroot(name_of("W"))); }
static int pivot(void) {
    /* Permission is asked for before the arguments are looked at. */
    long result = syscall(SYS_pivot_root, "/nonexistent", "/nonexistent");
    return result < 0 && errno == ENOENT ? 0 : worked(result);
}
static int device(void) {
    unlink("disk");
    if (mknod("disk", S_IFBLK | 0600, makedev(8, 0)) < 0) return worked(-1);
    unlink("disk");
    return 0;
}

static int tcp(int family, const void *address, socklen_t length) {
    int s = socket(family, SOCK_STREAM, 0);
    return s < 0 ? worked(-1) : worked(connect(s, address, length));
}
static int tcp4(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(number_of("PORT"))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return tcp(AF_INET, &to, sizeof to);
}
static int tcp_mapped(void) {
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(number_of("PORT"))};
    unsigned char address[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
    memcpy(&to.sin6_addr, address, 16);
    return tcp(AF_INET6, &to, sizeof to);
}
static int tcp_any(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(number_of("PORT"))};
    return tcp(AF_INET, &to, sizeof to);
}
static int fast_open(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(number_of("PORT"))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return s < 0 ? worked(-1) : worked(sendto(s, "x", 1, MSG_FASTOPEN, (void *)&to, sizeof to));
}
static int family(int family, int kind, int protocol) { return worked(socket(family, kind, protocol)); }
static int raw(void) { return family(AF_INET, SOCK_RAW, IPPROTO_ICMP); }
static int packets(void) { return family(AF_PACKET, SOCK_RAW, 0); }
static int netlink(void) { return family(AF_NETLINK, SOCK_RAW, 0); }
static int virtual_machine(void) { return family(40, SOCK_STREAM, 0); }
static int cipher(void) { return family(38, SOCK_SEQPACKET, 0); }
static int unix_to(const char *path, int is_abstract, int kind) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, kind, 0);
    if (s < 0) return worked(-1);
    size_t length = strlen(path);
    memcpy(to.sun_path + is_abstract, path, length);
    return worked(connect(s, (void *)&to, offsetof(struct sockaddr_un, sun_path) + length + 1));
}
static int unix_stream(void) { return unix_to(name_of("SOCK"), 0, SOCK_STREAM); }
static int unix_abstract(void) { return unix_to(name_of("ABSTRACT"), 1, SOCK_STREAM); }
static int unix_datagram(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0) return worked(-1);
    strncpy(to.sun_path, name_of("DGRAM"), sizeof to.sun_path - 1);
    return worked(sendto(pair[0], "x", 1, 0, (void *)&to, sizeof to));
}

static int probe_signal(void) { return worked(kill(number_of("PID"), 0)); }
static int kill_sibling(void) { return worked(kill(number_of("SIBLING"), SIGTERM)); }
static int kill_group(void) { return worked(killpg(number_of("SIBLING"), SIGTERM)); }
static int pidfd_signal(void) {
    int fd = syscall(SYS_pidfd_open, number_of("SIBLING"), 0);
    return fd < 0 ? worked(-1) : worked(syscall(SYS_pidfd_send_signal, fd, SIGTERM, 0, 0));
}
static int queue_signal(void) {
    siginfo_t info = {.si_code = SI_QUEUE};
    return worked(syscall(SYS_rt_sigqueueinfo, number_of("SIBLING"), SIGTERM, &info));
}
static int thread_signal(void) {
    long pid = number_of("SIBLING");
    return worked(syscall(SYS_tgkill, pid, pid, SIGTERM));
}
static int owner_signal(void) {
    /* A pipe that signals whom it is told to when something arrives. */
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return worked(-1);
    if (fcntl(pair[0], F_SETOWN, number_of("SIBLING")) < 0) return worked(-1);
    fcntl(pair[0], F_SETSIG, SIGTERM);
    fcntl(pair[0], F_SETFL, O_ASYNC);
    return worked(write(pair[1], "x", 1));
}
static int attach(void) {
    long result = ptrace(PTRACE_ATTACH, number_of("SIBLING"), 0, 0);
    if (result == 0) ptrace(PTRACE_DETACH, number_of("SIBLING"), 0, 0);
    return worked(result);
}
static int seize(void) { return worked(ptrace(PTRACE_SEIZE, number_of("SIBLING"), 0, 0)); }
static int read_memory(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)strtoul(name_of("ADDRESS"), 0, 16), 1};
    return worked(process_vm_readv(number_of("SIBLING"), &here, 1, &there, 1, 0));
}
static int write_memory(void) {
    char byte = 0;
    struct iovec here = {&byte, 0}, there = {(void *)strtoul(name_of("ADDRESS"), 0, 16), 0};
    return worked(process_vm_writev(number_of("SIBLING"), &here, 1, &there, 1, 0));
}
static int take_descriptor(void) {
    int fd = syscall(SYS_pidfd_open, number_of("SIBLING"), 0);
    return fd < 0 ? worked(-1) : worked(syscall(SYS_pidfd_getfd, fd, 0, 0));
}
static int compare(void) {
    return worked(syscall(SYS_kcmp, number_of("SIBLING"), getpid(), 0 /* file */, 0, 0));
}
static int other_limits(void) {
    struct rlimit limit;
    return worked(prlimit(number_of("SIBLING"), RLIMIT_NOFILE, 0, &limit));
}
static int other_priority(void) { return worked(setpriority(PRIO_PROCESS, number_of("SIBLING"), 5)); }
static int other_processor(void) {
    cpu_set_t set;
    return worked(sched_getaffinity(number_of("SIBLING"), sizeof set, &set));
}

static int fork_bomb(void) {
    int made = 0;
    setpgid(0, 0);
    for (; made < 300; made++) {
        pid_t pid = fork();
        if (pid < 0) break;
        if (pid == 0) { pause(); _exit(0); }
    }
    signal(SIGTERM, SIG_IGN);
    fprintf(stderr, "%d processes\n", made);
    kill(0, SIGTERM);
    return made == 300 ? 0 : 1;
}
static int balloon_of(int flags) {
    size_t size = 400u << 20;
    char *all = mmap(0, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return worked(-1);
    for (size_t at = 0; at < size; at += 4096) all[at] = 1;
    return 0;
}
static int balloon(void) { return balloon_of(MAP_PRIVATE); }
static int shared_balloon(void) { return balloon_of(MAP_SHARED); }
static int fill(const char *path) {
    static char block[1 << 20];
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return worked(-1);
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 100; i++)
        if (write(file, block, sizeof block) != sizeof block) { unlink(path); return worked(-1); }
    unlink(path);
    return 0;
}
static int big_file(void) { return fill("big"); }
static int big_memory_file(void) {
    int file = memfd_create("big", 0);
    signal(SIGXFSZ, SIG_IGN);
    return file < 0 ? worked(-1) : worked(ftruncate(file, 100 << 20));
}
static int descriptors(void) {
    int made = 0;
    while (made < 500 && open("/dev/null", O_RDONLY) >= 0) made++;
    return made == 500 ? 0 : 1;
}
static int raise_limit(int what) {
    struct rlimit limit;
    getrlimit(what, &limit);
    if (limit.rlim_max == RLIM_INFINITY) return 0;
    limit.rlim_cur = limit.rlim_max = limit.rlim_max + 1;
    return worked(setrlimit(what, &limit));
}
static int raise_files(void) { return raise_limit(RLIMIT_NOFILE); }
static int raise_core(void) {
    struct rlimit limit = {1 << 20, 1 << 20};
    return worked(setrlimit(RLIMIT_CORE, &limit));
}
static int be_nicer(void) { return worked(setpriority(PRIO_PROCESS, 0, -5)); }
static int real_time(void) {
    struct sched_param param = {.sched_priority = 1};
    return worked(sched_setscheduler(0, SCHED_FIFO, &param));
}
static int burn(void) {
    signal(SIGXCPU, SIG_IGN);
    struct timespec used;
    do clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    while (used.tv_sec < 4);
    return 0;
}

static int keys(void) { return worked(syscall(SYS_keyctl, 0 /* get id */, -3 /* session */, 1)); }
static int add_key(void) { return worked(syscall(SYS_add_key, "user", "k", "v", 1, -2 /* process */)); }
static int rings(void) { char p[120] = {0}; return worked(syscall(SYS_io_uring_setup, 1, p)); }
static int faults(void) { return worked(syscall(SYS_userfaultfd, 1)); }
static int performance(void) {
    struct { uint32_t type, size; uint64_t config; char rest[112]; } a = {1, 128, 0, {0}};
    a.rest[24] = 0x60; /* user only */
    return worked(syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
}
static int programs(void) {
    union { struct { uint32_t type, key, value, entries; }; char all[128]; } a = {0};
    a.type = 2; a.key = 4; a.value = 4; a.entries = 1;
    return worked(syscall(SYS_bpf, 0 /* map */, &a, sizeof a));
}
static int user_namespace(void) { return worked(unshare(CLONE_NEWUSER)); }
static int cloned_namespace(void) {
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return worked(pid);
}
static int cloned3_namespace(void) {
    uint64_t args[11] = {CLONE_NEWUSER, [4] = SIGCHLD};
    long pid = syscall(SYS_clone3, args, sizeof args);
    if (pid == 0) _exit(0);
    return worked(pid);
}
static int enter_namespace(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/ns/net", number_of("SIBLING"));
    int file = open(path, O_RDONLY);
    return file < 0 ? worked(-1) : worked(setns(file, 0));
}
static int enter_by_process(void) {
    int fd = syscall(SYS_pidfd_open, number_of("SIBLING"), 0);
    return fd < 0 ? worked(-1) : worked(setns(fd, CLONE_NEWNET));
}
static int type_request(void) {
    /* On what is no terminal the request itself is refused with ENOTTY when it is let through. */
    long result = ioctl(0, TIOCSTI, "x");
    return result < 0 && errno == ENOTTY ? 0 : worked(result);
}
static int kernel_log(void) { return worked(syscall(SYS_syslog, 10 /* size */, 0, 0)); }
static int host_name(void) { return worked(syscall(SYS_sethostname, "orchestrator", 0) < 0 && errno != EINVAL ? -1 : 0); }
static int shared_memory(void) { return worked((long)shmat(number_of("SHM"), 0, SHM_RDONLY)); }
static int become_root(void) { return worked(setuid(0)) || geteuid() ? 1 : 0; }
static int become_other(void) { return worked(setresuid(65532, 65532, 65532)); }
static int regain(void) {
    /* CAP_SYS_ADMIN, as much as is permitted. */
    struct { uint32_t version; int pid; } head = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } data[2] = {{1u << 21, 1u << 21, 0}, {0, 0, 0}};
    return worked(syscall(SYS_capset, &head, data));
}
#ifdef __x86_64__
static int x32(void) { return worked(syscall(0x40000000 | SYS_getppid)); }
static int old_calls(void) {
    long result;
    /* Calls of 32 bits have numbers of their own, which a filter for 64 bits would misread. */
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
    return result > 0 ? 0 : 1;
}
#else
static int x32(void) { return 1; }
static int old_calls(void) { return 1; }
#endif

static const struct { const char *name; int (*run)(void); } ATTEMPTS[] = {
#define A(f) {#f, f}
    A(openat_path), A(reopen_path), A(exchange), A(cut), A(mark), A(give), A(by_handle), A(new_mount),
    A(tree), A(new_root), A(pivot), A(device), A(tcp4), A(tcp_mapped), A(tcp_any), A(fast_open), A(raw),
    A(packets), A(netlink), A(virtual_machine), A(cipher), A(unix_stream), A(unix_abstract),
    A(unix_datagram), A(probe_signal), A(kill_sibling), A(kill_group), A(pidfd_signal), A(queue_signal),
    A(thread_signal), A(owner_signal), A(attach), A(seize), A(read_memory), A(write_memory),
    A(take_descriptor), A(compare), A(other_limits), A(other_priority), A(other_processor),
    A(fork_bomb), A(balloon), A(shared_balloon), A(big_file), A(big_memory_file), A(descriptors),
    A(raise_files), A(raise_core), A(be_nicer), A(real_time), A(burn), A(keys), A(add_key), A(rings),
    A(faults), A(performance), A(programs), A(user_namespace), A(cloned_namespace),
    A(cloned3_namespace), A(enter_namespace), A(enter_by_process), A(type_request),
    A(kernel_log), A(host_name), A(shared_memory), A(become_root), A(become_other), A(regain), A(x32),
    A(old_calls),
};

int main(int count, char **words) {
    for (size_t i = 0; i < sizeof ATTEMPTS / sizeof *ATTEMPTS; i++)
        if (count > 1 && strcmp(words[1], ATTEMPTS[i].name) == 0) return ATTEMPTS[i].run();
    return 2;
}
