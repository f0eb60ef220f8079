//! What the broker takes, once a second: memory and disk.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use super::{
    PATIENCE,
    course::Course,
    ledger::{Ledger, Sample},
};

const INTERVAL: Duration = Duration::from_secs(1);

/// What is measured must not grow without bound itself.
const LONGEST: Duration = Duration::from_hours(6);

/// Samples, and prints each tenth of the run, until all records were consumed or nothing moves.
pub(super) fn until_over(course: &Course, process_id: u32, data: &Path) -> Ledger {
    let mut ledger = Ledger::default();
    let mut moved_at = Instant::now();
    let mut taken = 0;
    println!("{}", Ledger::header());
    while !course.is_done() && !course.is_given_up() {
        rest(INTERVAL);
        if let Err(cause) = sample(&mut ledger, course, process_id, data) {
            course.give_up(&format!(
                "the broker cannot be watched, is it gone? {cause}"
            ));
        }
        let taken_now = course.flows.iter().map(super::course::Flow::taken).sum();
        if taken_now != taken {
            (taken, moved_at) = (taken_now, Instant::now());
        }
        if moved_at.elapsed() > PATIENCE {
            course.give_up("nothing moves any more");
        }
        if course.clock.elapsed() > LONGEST {
            course.give_up("the run takes too long");
        }
    }
    ledger.print_rest();
    ledger
}

fn rest(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        thread::park_timeout(left);
    }
}

fn sample(ledger: &mut Ledger, course: &Course, process_id: u32, data: &Path) -> io::Result<()> {
    let (memory_mib, greatest_memory_mib) = memory_mib(process_id)?;
    ledger.add(Sample {
        share_done: course.share_done(),
        records: course.flows.each_ref().map(super::course::Flow::taken),
        memory_mib,
        greatest_memory_mib,
        disk_bytes: disk_bytes(data)?,
        latencies_ms: course.probe.drain(),
    });
    Ok(())
}

/// Resident memory now, and at its greatest since the last call.
fn memory_mib(process_id: u32) -> io::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{process_id}/status"))?;
    // Starts the greatest anew.
    fs::write(format!("/proc/{process_id}/clear_refs"), "5")?;
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0)
            .ok_or_else(|| io::Error::other(format!("no {name} in /proc/{process_id}/status")))
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}

/// What a folder takes of the disk. Files may go while they are counted.
pub(super) fn disk_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes += if metadata.is_dir() {
            disk_bytes(&entry.path()).or_else(gone_is_nothing)?
        } else {
            // What is written has no blocks until it reaches the disk.
            metadata.len().max(metadata.blocks() * 512)
        };
    }
    Ok(bytes)
}

fn gone_is_nothing(cause: io::Error) -> io::Result<u64> {
    if cause.kind() == io::ErrorKind::NotFound {
        Ok(0)
    } else {
        Err(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("one"), vec![1; 10_000]).unwrap();
        fs::write(folder.path().join("a/b/two"), vec![1; 100_000]).unwrap();
        let bytes = disk_bytes(folder.path()).unwrap();
        assert!((110_000..200_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn memory_of_a_live_process_is_known_and_of_a_dead_one_is_not() {
        let (now, greatest) = memory_mib(std::process::id()).unwrap();
        assert!(now > 0.0 && greatest > 0.0);
        assert!(memory_mib(u32::MAX).is_err());
    }
}
