//! What a configuration takes from outside its file: environment variables and the container's memory limit. Both are
//! arguments, so that a test can say what they are.

use std::path::Path;

/// What is around the file.
pub struct Surroundings<'a> {
    /// Looks up an environment variable, for `token_env` and its like.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The container's memory limit in bytes, if it has one; `[cache] max_size` is a quarter of it at most by default.
    pub memory_limit: Option<u64>,
}

impl Surroundings<'static> {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        Surroundings {
            env: &|name| std::env::var(name).ok(),
            memory_limit: memory_limit(&|path| std::fs::read_to_string(path).ok()),
        }
    }
}

/// The least of the limits that hold for this process's control group and each group above it, in version 2
/// (`memory.max`) or version 1 (`memory.limit_in_bytes`) of the interface. Inside a container the group's own
/// directory is often mounted at the root, where the path that `/proc/self/cgroup` gives doesn't exist; therefore
/// every directory on the way up is looked at, and those that aren't there are passed over.
fn memory_limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let mut least = None;
    for line in groups.lines() {
        // cgroups(7): `id:controllers:path`, controllers empty in version 2.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|c| c == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let limit = read(&Path::new(root).join(group).join(name)).and_then(|text| limit_of(&text));
            least = [least, limit].into_iter().flatten().min();
        }
    }
    least
}

/// Version 2 writes `max` for none; version 1 a number near 2^63, rounded down to a page.
fn limit_of(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        memory_limit(&|path| files.iter().find(|(p, _)| Path::new(p) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let own = ("/proc/self/cgroup", "0::/a/b\n");
        let (b, a) = ("/sys/fs/cgroup/a/b/memory.max", "/sys/fs/cgroup/a/memory.max");
        assert_eq!(limit(&[own, (b, "max\n"), (a, "1000\n")]), Some(1000));
        assert_eq!(limit(&[own, (b, "500\n"), (a, "1000\n")]), Some(500));
        assert_eq!(limit(&[own, (b, "max\n")]), None);
        assert_eq!(limit(&[]), None);
    }

    #[test]
    fn inside_a_container_the_group_is_mounted_at_the_root() {
        let own = ("/proc/self/cgroup", "0::/system.slice/docker-1.scope\n");
        assert_eq!(limit(&[own, ("/sys/fs/cgroup/memory.max", "2048")]), Some(2048));
    }

    #[test]
    fn version_1_is_read_too() {
        let own = ("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n");
        let file = "/sys/fs/cgroup/memory/x/memory.limit_in_bytes";
        assert_eq!(limit(&[own, (file, "4096\n")]), Some(4096));
        assert_eq!(limit(&[own, (file, "9223372036854771712\n")]), None);
    }
}
