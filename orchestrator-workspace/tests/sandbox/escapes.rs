//! Attempts to escape, each by its name. Each works with nothing around it, where trying that does no
//! harm, and fails behind every wall.

use crate::arena::{Attempt, Wall};

macro_rules! attempts {
    ($($name:ident: $script:literal $(, $change:ident($($with:expr),*))*;)*) => {$(
        #[test]
        fn $name() {
            Attempt::new($script)$(.$change($($with),*))*.run();
        }
    )*};
}

// Paths

attempts! {
    writing_to_an_absolute_path: r#"echo x >> "$VICTIM""#;
    writing_through_dots: "echo x >> ../outside/victim";
    writing_through_a_planted_link: "echo x >> planted/victim";
    writing_through_a_new_link: r#"ln -s "$VICTIM" link && echo x >> link"#;
    writing_through_a_chain_of_links: r#"ln -s "$O" a && ln -s a b && ln -s b/victim c && echo x >> c"#;
    swapping_a_link_while_writing: r#"for i in $(seq 100); do ln -sfn own l; ln -sfn "$VICTIM" l & echo x >> l; wait; done 2>/dev/null; false"#,
        no_control("a race is not won every time");
    writing_through_a_hard_link: r#"ln "$VICTIM" hard && echo x >> hard"#;
    moving_the_victim_in: r#"mv "$VICTIM" stolen"#;
    moving_a_file_out: r#"mv own "$O/new""#;
    exchanging_across_the_border: "attempt exchange";
    making_a_file_outside: r#"echo x > "$O/new""#;
    making_a_directory_outside: r#"mkdir "$O/new""#;
    making_a_link_outside: r#"ln -s /etc "$O/new""#;
    making_a_pipe_outside: r#"mkfifo "$O/new""#;
    removing_a_file_outside: r#"rm "$VICTIM""#;
    removing_a_directory_outside: r#"rmdir "$R/hooks""#;
    cutting_a_file_outside: "attempt cut";
    changing_a_mode_outside: r#"chmod 777 "$VICTIM""#,
        not_behind(&[Wall::Plain], "Landlock knows no rights for attributes");
    changing_a_time_outside: r#"touch -d 2001-01-01 "$VICTIM""#,
        not_behind(&[Wall::Plain], "Landlock knows no rights for attributes");
    changing_an_attribute_outside: "attempt mark",
        not_behind(&[Wall::Plain], "Landlock knows no rights for attributes");
    writing_through_the_root_of_a_process: r#"echo x >> "/proc/self/root$VICTIM""#;
    writing_through_a_directory_of_the_parent: r#"echo x >> "/proc/$PID/root$VICTIM""#;
    writing_through_the_working_directory_of_another: r#"echo x >> "/proc/$SIBLING/cwd/../outside/victim""#,
        no_control("the sibling stands elsewhere");
    reading_descriptors_of_another: r#"ls -l "/proc/$SIBLING/fd/" && cat "/proc/$SIBLING/fd/0""#;
    writing_to_an_inherited_descriptor: "echo x >&9",
        inheriting();
    reopening_an_inherited_descriptor: "echo x >> /dev/fd/9",
        inheriting();
    opening_from_a_path_descriptor: "attempt openat_path";
    reopening_a_path_descriptor: "attempt reopen_path";
    writing_by_an_overlong_path: r#"p=$(printf "./%.0s" $(seq 1500)); cd "$O/../workspace" && echo x >> "$p../outside/victim""#;
    writing_from_a_deep_directory: "mkdir -p d/d/d/d/d/d/d/d && cd d/d/d/d/d/d/d/d && echo x >> ../../../../../../../../../outside/victim";
    opening_by_a_handle: "attempt by_handle",
        no_control("not every file system has handles");
    mounting_over_the_border: r#"mkdir -p m && mount --bind "$O" m && echo x >> m/victim"#,
        no_control("it would leave a mount");
    making_a_mount_by_the_new_calls: "attempt new_mount",
        no_control("root alone may");
    cloning_a_tree_of_mounts: "attempt tree",
        no_control("root alone may");
    changing_the_root: "attempt new_root",
        no_control("root alone may");
    pivoting_the_root: "attempt pivot",
        no_control("root alone may");
    making_a_disk: "attempt device",
        no_control("root alone may");
}

// What is hidden

attempts! {
    reading_what_is_hidden: r#"[ -s "$SECRET" ] && cat "$SECRET""#;
    reading_what_is_hidden_through_a_link: r#"ln -s "$H" h && grep . h/secret"#;
    reading_what_is_hidden_through_a_hard_link: r#"ln "$SECRET" h && grep . h"#;
    reading_what_is_hidden_through_a_root: r#"grep . "/proc/self/root$SECRET""#;
    reading_what_is_hidden_from_its_directory: r#"cd "$H" && grep . secret"#;
    moving_what_is_hidden_in: r#"mv "$H" here && grep . here/secret"#;
    writing_where_it_is_hidden: r#"echo x > "$H/new""#;
    making_a_hidden_file_oneself: r#"echo x > "$O/later""#;
}

// Git

attempts! {
    changing_a_git_hook: "echo x > .git/hooks/post-checkout",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_setting: r#"echo "[core] fsmonitor = x" >> .git/config"#,
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_reference: "echo x > .git/refs/heads/main",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_new_reference: "echo x > .git/refs/heads/new",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_object: "echo x > .git/objects/new",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_alternate: "echo x > .git/objects/info/alternates",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_attribute: "echo x >> .git/info/attributes",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_index: "rm -f .git/index && [ ! -e .git/index ]",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_a_git_other_worktree: "echo x > .git/worktrees/other/gitdir",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    moving_git_away: "mv .git gone",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    exchanging_git: "mkdir new && mv -T --exchange new .git 2>/dev/null || rm -rf .git",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_the_mode_of_git: "chmod 777 .git/config",
        not_behind(&[Wall::Plain], "nothing protects it there, so it is refused");
    changing_the_repository_of_a_worktree: r#"echo x > "$R/hooks/post-commit""#;
    running_git_in_the_repository: r#"git config -f "$R/config" core.hooksPath "$W""#;
}

// Other processes

attempts! {
    reading_the_environment_of_another: r#"grep SESAME "/proc/$SIBLING/environ""#;
    reading_the_environment_of_the_parent: r#"grep . "/proc/$PID/environ""#;
    opening_the_memory_of_another: r#"head -c0 "/proc/$SIBLING/mem" && exec 3<"/proc/$SIBLING/mem""#;
    looking_at_the_memory_of_another: r#"grep . "/proc/$SIBLING/maps""#;
    entering_the_root_of_another: r#"ls "/proc/$SIBLING/root/""#;
    signalling_the_parent: "attempt probe_signal";
    ending_a_sibling: "attempt kill_sibling";
    ending_a_group: "attempt kill_group";
    ending_through_a_handle: "attempt pidfd_signal";
    ending_by_a_queued_signal: "attempt queue_signal";
    ending_by_a_thread_signal: "attempt thread_signal";
    ending_by_the_owner_of_a_socket: "attempt owner_signal; sleep 0.3; false";
    attaching_to_another: "attempt attach";
    seizing_another: "attempt seize";
    reading_memory_by_call: "attempt read_memory";
    writing_memory_by_call: "attempt write_memory";
    taking_a_descriptor: "attempt take_descriptor";
    comparing_with_another: "attempt compare";
    reading_limits_of_another: "attempt other_limits";
    changing_the_priority_of_another: "attempt other_priority";
    asking_for_processors_of_another: "attempt other_processor";
    attaching_shared_memory: "attempt shared_memory";
}

// Network

attempts! {
    connecting_to_a_local_port: "attempt tcp4";
    connecting_by_a_mapped_address: "attempt tcp_mapped";
    connecting_to_the_address_of_none: "attempt tcp_any";
    connecting_by_fast_open: "attempt fast_open; false";
    connecting_to_the_address_of_this_machine: r#"a=$(hostname -I | cut -d" " -f1); [ -n "$a" ] && timeout 5 bash -c ": < /dev/tcp/$a/$PORT""#,
        no_control("not every machine has one");
    connecting_to_the_outside: r#"timeout 5 bash -c ": < /dev/tcp/192.0.2.1/80""#,
        no_control("nothing answers there");
    sending_a_datagram: r#"timeout 5 bash -c "echo x > /dev/udp/127.0.0.1/$UDP"; false"#;
    asking_for_a_name: "timeout 5 getent ahosts example.com",
        no_control("not every machine has a network");
    opening_a_raw_socket: "attempt raw",
        no_control("root alone may");
    opening_a_packet_socket: "attempt packets",
        no_control("root alone may");
    opening_a_netlink_socket: "attempt netlink";
    opening_a_socket_to_the_host: "attempt virtual_machine",
        no_control("not every kernel has them");
    opening_a_socket_of_the_kernel_s_ciphers: "attempt cipher",
        no_control("not every kernel has them");
    connecting_to_a_unix_socket: "attempt unix_stream";
    connecting_to_an_abstract_socket: "attempt unix_abstract";
    sending_to_a_unix_socket: "attempt unix_datagram";
}

// Usage

attempts! {
    a_fork_bomb: "attempt fork_bomb",
        limited();
    a_balloon_of_memory: "attempt balloon",
        limited();
    a_balloon_of_shared_memory: "attempt shared_balloon",
        limited(),
        not_behind(&[Wall::Ordinary], "it is bounded by control groups alone");
    filling_the_disk: "attempt big_file",
        limited();
    filling_memory_with_a_file: "attempt big_memory_file",
        limited();
    filling_the_scratch: "for i in $(seq 30); do head -c 1000000 /dev/zero > /tmp/fill-$$-$i || { rm -f /tmp/fill-$$-*; exit 1; }; done; rm -f /tmp/fill-$$-*",
        limited();
    using_up_descriptors: "attempt descriptors",
        limited();
    burning_a_processor: "attempt burn",
        limited();
    raising_the_limit_of_files: "attempt raise_files",
        no_control("root alone may"),
        limited();
    leaving_a_core: "attempt raise_core",
        no_control("where it is bounded already it may not be raised");
    being_nicer_to_oneself: "attempt be_nicer",
        no_control("root alone may");
    running_in_real_time: "attempt real_time",
        no_control("root alone may");
}

// The kernel

attempts! {
    using_keys: "attempt keys",
        no_control("it depends on the kernel and on who one is");
    adding_a_key: "attempt add_key",
        no_control("it depends on the kernel and on who one is");
    using_rings: "attempt rings",
        no_control("it depends on the kernel and on who one is");
    handling_faults: "attempt faults",
        no_control("it depends on the kernel and on who one is");
    measuring_the_kernel: "attempt performance",
        no_control("it depends on the kernel and on who one is");
    loading_a_program_into_the_kernel: "attempt programs",
        no_control("it depends on the kernel and on who one is");
    making_a_user_namespace: "attempt user_namespace",
        no_control("it depends on the kernel and on who one is");
    making_a_user_namespace_by_clone: "attempt cloned_namespace",
        no_control("it depends on the kernel and on who one is");
    making_a_user_namespace_by_clone3: "attempt cloned3_namespace",
        no_control("it depends on the kernel and on who one is");
    entering_a_namespace: "attempt enter_namespace",
        no_control("it depends on the kernel and on who one is");
    entering_namespaces_of_a_process: "attempt enter_by_process",
        no_control("it depends on the kernel and on who one is");
    typing_into_a_terminal: "attempt type_request",
        no_control("it depends on the kernel and on who one is");
    reading_the_kernel_s_log: "attempt kernel_log",
        no_control("it depends on the kernel and on who one is");
    naming_the_machine: "attempt host_name",
        no_control("it depends on the kernel and on who one is");
    regaining_a_capability: "attempt regain",
        no_control("it depends on the kernel and on who one is");
    calls_in_the_numbers_of_x32: "attempt x32",
        no_control("it depends on the kernel and on who one is");
    calls_of_32_bits: "attempt old_calls",
        no_control("it depends on the kernel and on who one is");
    typing_on_the_terminal_of_the_user: ": > /dev/tty",
        no_control("tests have no terminal");
    opening_memory_and_disks: "for d in mem kmem port kmsg sda vda nvme0n1 loop0 fuse net/tun kvm; do (: < /dev/$d) 2>/dev/null && exit 0; done; exit 1",
        no_control("it depends on the machine and on who one is");
    writing_to_sysfs: "for f in /sys/kernel/mm/ksm/run /sys/power/state /sys/kernel/mm/transparent_hugepage/enabled; do (: >> $f) 2>/dev/null && exit 0; done; exit 1",
        no_control("root alone may");
    changing_a_setting_of_the_kernel: "for f in kernel/hostname kernel/core_pattern vm/overcommit_memory net/ipv4/ip_forward; do (: >> /proc/sys/$f) 2>/dev/null && exit 0; done; exit 1",
        no_control("root alone may");
    pulling_the_trigger_of_the_kernel: ": >> /proc/sysrq-trigger",
        no_control("root alone may");
    leaving_the_control_group: "for f in $(find /sys/fs/cgroup -maxdepth 3 -name cgroup.procs); do (: >> $f) 2>/dev/null && exit 0; done; exit 1",
        no_control("root alone may");
    being_spared_when_memory_is_short: "echo -500 > /proc/self/oom_score_adj",
        no_control("root alone may");
    mapping_users: r#"echo "0 0 1" > /proc/self/uid_map"#,
        no_control("it is mapped already");
}

// Privileges, and what waits for somebody else

attempts! {
    becoming_another_user: "attempt become_other",
        no_control("root alone may");
    giving_a_file_away: "attempt give",
        no_control("root alone may");
    a_setuid_program: "su -c id 2>/dev/null || sudo -n id 2>/dev/null || attempt become_root",
        no_control("it depends on who one is"),
        not_behind(&[Wall::Namespaces, Wall::Named, Wall::Plain, Wall::Bubblewrap], "these may be root already, without its rights");
    making_a_program_setuid_for_others: r#"cp /bin/true "$O/true" && chmod u+s "$O/true""#;
    planting_a_library_for_all: "f=/etc/ld.so.preload.d-$$; : > $f && rm -f $f",
        no_control("it would write to the system");
    planting_a_program_for_all: "f=/usr/local/bin/orchestrator-escape-$$; : > $f && rm -f $f",
        no_control("it would write to the system");
    planting_a_start_file: r#"f=${HOME:-/root}/.profile; [ -e "$f" ] || f=/etc/profile; : >> "$f""#,
        no_control("it would write to the home");
    planting_a_job: "for d in /etc/cron.d /var/spool/cron /var/spool/at /etc/systemd/system; do f=$d/orchestrator-escape-$$; (: > $f) 2>/dev/null && rm -f $f && exit 0; done; exit 1",
        no_control("it would write to the system");
}
