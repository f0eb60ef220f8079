//! The file edge: everything that can fail for want of space or a healthy disk goes through `Disk`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::Path;

pub(super) trait Disk: Send + Sync + 'static {
    /// Writes all parts at the end of the file.
    fn append(&self, file: &File, parts: &mut [IoSlice<'_>]) -> io::Result<()>;
    fn sync(&self, file: &File) -> io::Result<()>;
    fn cut(&self, file: &File, bytes: u64) -> io::Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn append(&self, mut file: &File, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match file.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut parts, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn cut(&self, file: &File, bytes: u64) -> io::Result<()> {
        file.set_len(bytes)
    }
}

/// Opened for appending: the kernel keeps the end, also after a cut.
pub(super) fn open_for_append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .append(true)
        .open(path)
}

pub(super) fn sync_folder(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    disk.sync(&File::open(folder)?)
}

/// Old content or new content, never half of it, and durable when it returns.
pub(super) fn replace_file(disk: &dyn Disk, path: &Path, content: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("tmp");
    let file = File::create(&fresh)?;
    disk.append(
        &file,
        &mut [
            IoSlice::new(&crc32c::crc32c(content).to_be_bytes()),
            IoSlice::new(content),
        ],
    )?;
    disk.sync(&file)?;
    fs::rename(&fresh, path)?;
    sync_folder(disk, path.parent().unwrap_or(Path::new(".")))
}

/// What `replace_file` wrote; `None` when it is missing or damaged.
pub(super) fn read_checked(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(crc) = content.first_chunk::<4>().copied() else {
        return Ok(None);
    };
    content.drain(..4);
    Ok((crc32c::crc32c(&content) == u32::from_be_bytes(crc)).then_some(content))
}

pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}
