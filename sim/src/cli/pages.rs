//! Large worlds in large pages of memory: most of what a large run does is wait for memory, half of it to
//! learn where that is.
//!
//! glibc asks the kernel for large pages only if it is told to before a program begins, so the program begins
//! anew. What it does is the same.

use std::{env, os::unix::process::CommandExt, process::Command};

/// Smaller worlds are done before it pays.
const LARGE: usize = 200;
/// What tells glibc.
const TUNABLES: &str = "GLIBC_TUNABLES";

/// Begins anew in large pages if a world is large, unless somebody chose glibc's settings already.
pub(super) fn for_world_of(nodes: usize) {
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || nodes < LARGE {
        return;
    }
    if let (None, Ok(program)) = (env::var_os(TUNABLES), env::current_exe()) {
        let mut again = Command::new(program);
        again.args(env::args_os().skip(1)).env(TUNABLES, "glibc.malloc.hugetlb=1");
        // It only returns if that is not possible, and small pages will do as well.
        let _failed = again.exec();
    }
}
