//! CPU time and memory of processes, as `/proc` has them: exact to a clock tick, mostly 10 ms.

use std::{
    collections::{HashMap, HashSet},
    io,
    time::Duration,
};

use procfs::process::{Process, Stat, all_processes};

/// Set in the flags of the kernel's own threads.
const KERNEL_THREAD: u32 = 0x0020_0000;

/// What one process has used so far, with those of its children that have ended and were waited for.
#[derive(Clone, Copy, Debug)]
struct Entry {
    parent: i32,
    is_kernel: bool,
    used: Duration,
}

/// CPU time of all processes at one moment, in three parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The processes asked for and their descendants.
    pub ours: Duration,
    /// The kernel's threads, which write to the disk for all.
    pub kernel: Duration,
}

/// Reads every process; `roots` and what descends from them are ours.
pub fn usage(roots: &[u32]) -> Usage {
    let entries = entries();
    let ours = descendants(&entries, roots);
    let sum = |is_wanted: &dyn Fn(i32, &Entry) -> bool| {
        let wanted = entries.iter().filter(|(id, entry)| is_wanted(**id, entry));
        wanted.map(|(_, entry)| entry.used).sum()
    };
    Usage {
        ours: sum(&|id, _| ours.contains(&id)),
        kernel: sum(&|_, entry| entry.is_kernel),
    }
}

/// Processes that descend from that one, without it.
pub fn descendants_of(process_id: u32) -> Vec<u32> {
    let mut found = descendants(&entries(), &[process_id]);
    found.remove(&process_id.cast_signed());
    found.into_iter().map(i32::cast_unsigned).collect()
}

/// What one process has used; it must be alive.
pub fn cpu_of(process_id: u32) -> Duration {
    let process = Process::new(process_id.cast_signed()).and_then(|process| process.stat());
    let stat = process.expect("a live process");
    ticks(stat.utime + stat.stime)
}

/// Resident memory of a process in MiB; an error when it is gone.
pub fn memory_mib_of(process_id: u32) -> io::Result<f64> {
    let process = Process::new(process_id.cast_signed()).and_then(|process| process.status());
    let status = process.map_err(io::Error::other)?;
    let kib = status
        .vmrss
        .ok_or_else(|| io::Error::other("it has ended"))?;
    Ok(kib as f64 / 1024.0)
}

/// Resident memory of a live process now, and at its greatest, in MiB.
pub fn memory_mib(process_id: u32) -> (f64, f64) {
    let process = Process::new(process_id.cast_signed()).and_then(|process| process.status());
    let status = process.expect("a live process");
    let mib = |kib: Option<u64>| kib.unwrap_or(0) as f64 / 1024.0;
    (mib(status.vmrss), mib(status.vmhwm))
}

fn entries() -> HashMap<i32, Entry> {
    let processes = all_processes().expect("a readable /proc");
    // Processes end while they are looked at.
    let stats = processes.filter_map(|process| process.ok()?.stat().ok());
    stats.map(|stat| (stat.pid, entry(&stat))).collect()
}

fn entry(stat: &Stat) -> Entry {
    let of_children = (stat.cutime + stat.cstime).max(0).cast_unsigned();
    Entry {
        parent: stat.ppid,
        is_kernel: stat.flags & KERNEL_THREAD != 0,
        used: ticks(stat.utime + stat.stime + of_children),
    }
}

fn descendants(entries: &HashMap<i32, Entry>, roots: &[u32]) -> HashSet<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (id, entry) in entries {
        children.entry(entry.parent).or_default().push(*id);
    }
    let mut found = HashSet::new();
    let mut waiting: Vec<i32> = roots.iter().map(|root| root.cast_signed()).collect();
    while let Some(id) = waiting.pop() {
        if found.insert(id) {
            waiting.extend(children.get(&id).into_iter().flatten());
        }
    }
    found
}

fn ticks(ticks: u64) -> Duration {
    Duration::from_secs(ticks) / u32::try_from(procfs::ticks_per_second()).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::measure::cpu::Stopwatch;

    const BUSY: &str = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done";

    #[test]
    fn children_count_whether_they_live_or_have_ended() {
        let before = usage(&[std::process::id()]).ours;
        let mut child = Command::new("sh").args(["-c", BUSY]).spawn().unwrap();
        let while_alive = usage(&[std::process::id()]).ours;
        assert!(child.wait().unwrap().success());
        let after = usage(&[std::process::id()]).ours;
        assert!(before <= while_alive && while_alive <= after);
        let by_child = after.saturating_sub(before);
        // Many ticks.
        assert!(by_child >= Duration::from_millis(50), "{by_child:?}");
    }

    #[test]
    fn a_process_without_children_descends_to_nobody() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let found = descendants(&entries(), &[child.id()]);
        assert_eq!(found, HashSet::from([child.id().cast_signed()]));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn memory_of_a_process_that_is_gone_is_an_error() {
        assert!(memory_mib_of(std::process::id()).unwrap() > 0.0);
        assert!(memory_mib_of(u32::MAX).is_err());
    }

    #[test]
    fn children_descend_from_their_parent() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(descendants_of(std::process::id()).contains(&child.id()));
        assert!(!descendants_of(std::process::id()).contains(&std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_process_is_seen_from_outside() {
        let before = cpu_of(std::process::id());
        let work = Stopwatch::of_process();
        while work.elapsed() < Duration::from_millis(100) {}
        let seen = cpu_of(std::process::id()).saturating_sub(before);
        let two_ticks = Duration::from_millis(20);
        assert!(seen + two_ticks >= Duration::from_millis(100), "{seen:?}");
        let (now, greatest) = memory_mib(std::process::id());
        assert!(now > 0.0 && greatest >= now);
    }
}
