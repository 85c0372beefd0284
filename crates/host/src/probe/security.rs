//! What guards this machine: security modules, what this process could do to others and others to it,
//! measured boot.

mod boot;
mod landlock;
mod modules;
mod process;

use serde::Serialize;

use super::{Reading, Tree, Unit};
pub use boot::Boot;
pub use modules::{AppArmor, Selinux};
pub use process::Process;

/// What guards a machine.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Security {
    /// The security modules of the kernel, in order.
    pub modules: Reading<Vec<String>>,
    /// SELinux.
    pub selinux: Selinux,
    /// AppArmor.
    pub apparmor: AppArmor,
    /// The version of Landlock, with which a process confines itself.
    pub landlock_abi: Reading<u32>,
    /// What root may not do to the kernel: `none`, `integrity` or `confidentiality`.
    pub lockdown: Reading<String>,
    /// Whose memory a process may read (Yama): 0 of the same user, 1 of its children, 2 with rights, 3
    /// none.
    pub ptrace_scope: Reading<u32>,
    /// What seccomp can do to a call of the kernel.
    pub seccomp_actions: Reading<Vec<String>>,
    /// How addresses are made hard to guess: 0 not, 1 most, 2 all.
    pub randomised_addresses: Reading<u32>,
    /// Whether others than root may load programs into the kernel: 0 yes, 1 or 2 no.
    pub unprivileged_bpf_disabled: Reading<u32>,
    /// How the machine started, and who could prove it.
    pub boot: Boot,
    /// This process.
    pub process: Process,
}

impl Security {
    /// Reads what `tree` says; of this machine, asks the kernel as well.
    pub fn read(tree: &Tree) -> Self {
        let words = |text: String, by: char| -> Vec<String> {
            text.split(by).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let number = |path: &str| tree.number(path, Unit::None);
        Self {
            modules: modules::list(tree),
            selinux: Selinux::read(tree),
            apparmor: AppArmor::read(tree),
            landlock_abi: landlock::abi(tree),
            lockdown: modules::lockdown(tree),
            ptrace_scope: number("proc/sys/kernel/yama/ptrace_scope"),
            seccomp_actions: tree
                .text("proc/sys/kernel/seccomp/actions_avail")
                .map(|text| words(text, ' ')),
            randomised_addresses: number("proc/sys/kernel/randomize_va_space"),
            unprivileged_bpf_disabled: number("proc/sys/kernel/unprivileged_bpf_disabled"),
            boot: Boot::read(tree),
            process: Process::read(tree),
        }
    }

    /// Whether a security module keeps services to what their profiles allow.
    pub fn has_profiles(&self) -> bool {
        self.selinux.mode.get().is_some_and(|mode| mode == "enforcing")
            || self.apparmor.enabled.get() == Some(&true)
    }
}

#[cfg(test)]
mod tests {
    use rushlight_testkit::made_up;

    use super::*;
    use crate::probe::Reason;

    fn security(name: &str) -> Security {
        let dir = tempfile::tempdir().unwrap();
        made_up::write_tree(name, dir.path());
        Security::read(&Tree::new(dir.path()))
    }

    #[test]
    fn a_server() {
        let security = security("x86-server");
        assert_eq!(security.modules.get().unwrap().len(), 5);
        assert_eq!(security.lockdown.get().unwrap(), "integrity");
        assert_eq!(security.apparmor.profile.get().unwrap(), "unconfined");
        let profiles = &security.apparmor.profiles;
        assert_eq!(profiles.value.as_ref().unwrap_err().reason, Reason::Permission);
        assert!(security.has_profiles());
        assert_eq!(security.selinux.mode.value.unwrap_err().reason, Reason::NotFound);
        assert_eq!(security.landlock_abi.value.unwrap_err().reason, Reason::Unsupported);
        let boot = &security.boot;
        let boot = (boot.secure_boot.get(), boot.setup_mode.get(), boot.tpm.get());
        assert_eq!(boot, (Some(&true), Some(&false), Some(&2)));
        assert_eq!(
            (security.process.user.get(), security.process.seccomp.get()),
            (Some(&1000), Some(&0))
        );
    }

    #[test]
    fn a_container() {
        let security = security("container-cgroup-v1");
        assert_eq!(security.apparmor.profile.get().unwrap(), "docker-default (enforce)");
        assert_eq!(security.process.capabilities.get(), Some(&0xa804_25fb));
        let absent = security.modules.value.unwrap_err();
        assert!(absent.detail.contains("securityfs"), "{absent:?}");
        let absent = security.boot.secure_boot.value.unwrap_err();
        assert!(absent.detail.contains("UEFI"), "{absent:?}");
    }

    #[test]
    fn what_is_damaged_is_said_to_be() {
        let security = security("damaged");
        let reason = |absent: crate::probe::Absent| absent.reason;
        assert_eq!(security.selinux.mode.value.map_err(reason), Err(Reason::Damaged));
        assert_eq!(security.apparmor.enabled.value.map_err(reason), Err(Reason::Damaged));
        assert_eq!(security.lockdown.value.map_err(reason), Err(Reason::Damaged));
        assert_eq!(security.boot.secure_boot.value.map_err(reason), Err(Reason::Damaged));
        assert_eq!(security.boot.tpm.value.map_err(reason), Err(Reason::Damaged));
        assert_eq!(security.process.user.value.map_err(reason), Err(Reason::Damaged));
    }

    #[test]
    fn this_kernel_tells_of_landlock() {
        let abi = Security::read(&Tree::this_machine()).landlock_abi;
        match abi.value {
            Ok(version) => assert!((1..100).contains(&version)),
            Err(absent) => assert_ne!(absent.reason, Reason::Damaged),
        }
    }
}
