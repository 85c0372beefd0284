//! The group of what guards the machine, and what is missing for a hardened service.

use rushlight_host::probe::Tree;
use rushlight_host::probe::security::Security;

use super::group::{Group, Verdict, count};

/// The version of Landlock that confines network ports too (Linux 6.7; landlock(7)).
const LANDLOCK_WITH_PORTS: u32 = 4;

/// Looks at what guards the machine.
pub(crate) fn look(tree: &Tree) -> Group {
    let security = Security::read(tree);
    let sentence = "What a hardened service needs is there.";
    let mut group = Group::new("security", "Security", sentence, &security);
    lines(&mut group, &security);
    judge(&mut group, &security, tree);
    group
}

fn lines(group: &mut Group, security: &Security) {
    let yes = |&yes: &bool| if yes { "on" } else { "off" }.to_owned();
    group.reading("modules", &security.modules, |modules| modules.join(", "));
    group.reading("SELinux", &security.selinux.mode, |mode| match security.selinux.context.get() {
        Some(context) => format!("{mode}, this process as `{context}`"),
        None => mode.clone(),
    });
    let apparmor = &security.apparmor;
    group.reading("AppArmor", &apparmor.enabled, |&on| {
        let mut parts = vec![yes(&on)];
        if let Some(profile) = apparmor.profile.get() {
            parts.push(format!("this process `{profile}`"));
        }
        if let Some(&profiles) = apparmor.profiles.get() {
            parts.push(count(profiles, "profile"));
        }
        parts.join(", ")
    });
    group.reading("Landlock", &security.landlock_abi, |abi| format!("version {abi}"));
    group.reading("seccomp", &security.seccomp_actions, |actions| {
        let here = match security.process.seccomp.get() {
            Some(0) => ", not used for this process",
            Some(_) => ", used for this process",
            None => "",
        };
        format!("{} actions{here}", actions.len())
    });
    group.reading("lockdown", &security.lockdown, String::clone);
    group.reading("ptrace", &security.ptrace_scope, |scope| match scope {
        0 => "a process may read others of its user (Yama 0)".to_owned(),
        1 => "a process may read its children only (Yama 1)".to_owned(),
        2 => "only root may read other processes (Yama 2)".to_owned(),
        3 => "no process may read another (Yama 3)".to_owned(),
        _ => format!("Yama {scope}"),
    });
    group.reading("secure boot", &security.boot.secure_boot, yes);
    group.reading("TPM", &security.boot.tpm, |version| format!("version {version}"));
    let process = &security.process;
    group.reading("this process", &process.user, |user| {
        let rights = match process.capabilities.get() {
            Some(0) => "no further rights".to_owned(),
            Some(bits) => count(bits.count_ones() as usize, "capability").replace("ys", "ies"),
            None => "unknown rights".to_owned(),
        };
        let name = if *user == 0 { " (root)" } else { "" };
        let gains = match process.no_new_privileges.get() {
            Some(true) => ", gains no more",
            _ => "",
        };
        format!("user {user}{name}, {rights}{gains}")
    });
}

/// What is missing is said in one sentence each; how many such there are is the verdict.
fn judge(group: &mut Group, security: &Security, tree: &Tree) {
    let mut missing: Vec<&str> = Vec::new();
    if !security.has_profiles() {
        missing.push(
            "neither SELinux nor AppArmor holds services to a profile: what a unit's own sandboxing \
             does not forbid is allowed",
        );
    }
    match security.landlock_abi.get() {
        None if tree.is_this_machine() => {
            missing.push("without Landlock a service cannot confine itself to its own files");
        }
        Some(&abi) if abi < LANDLOCK_WITH_PORTS => {
            missing.push("this Landlock confines files but not ports, which Linux 6.7 adds");
        }
        _ => {}
    }
    if security.seccomp_actions.get().is_none() {
        missing.push("the kernel shows no seccomp: its calls cannot be filtered");
    }
    if security.ptrace_scope.get().is_none_or(|&scope| scope == 0) {
        missing.push(
            "other processes of the same user can read a service's memory, keys included: give it a \
             user of its own, or set `kernel.yama.ptrace_scope=1`",
        );
    }
    if security.randomised_addresses.get().is_some_and(|&kind| kind < 2) {
        missing.push("addresses are easy to guess: set `kernel.randomize_va_space=2`");
    }
    if security.boot.setup_mode.get() == Some(&true) {
        missing.push("the firmware is in setup mode: anyone at the machine can enrol keys");
    } else if security.boot.secure_boot.get() == Some(&false) {
        missing.push("secure boot is off: what starts before the kernel is not checked");
    }
    if security.boot.tpm.get().is_none() {
        missing.push("without a TPM, keys on the disk can be read by whoever takes the disk");
    }
    if security.process.user.get() == Some(&0) {
        missing.push("you are root; a service should have a user of its own (`DynamicUser=yes`)");
    }
    if !missing.is_empty() {
        let sentence = match missing.len() {
            1 => "One thing is missing for a hardened service.".to_owned(),
            number => format!("{number} things are missing for a hardened service."),
        };
        group.judge(Verdict::Degraded, sentence);
    }
    missing.into_iter().for_each(|sentence| group.hint(sentence));
}
